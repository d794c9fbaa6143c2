"""Signals of the training split: the only thing that selection may read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.augment import augment
from nsa_core.config import TrialConfig
from nsa_core.data import HeldOut
from nsa_core.methods import Method
from nsa_core.metrics import (
    alignment,
    auroc,
    effective_rank,
    kappa_from_resultant,
    mmd_to_uniform,
    resultant_length,
    spread,
    uniformity,
)
from nsa_core.metrics.directions import measured
from nsa_core.scorers import CCos
from nsa_core.seeds import generator
from nsa_core.training.embedding import embed, embed_batch

SPACES = ("embedding", "projection")

_BN_WARM_UP = 30  # steps until running statistics, and so the spread of projections, mean anything
_PAIRED_ROWS = 2048  # evenly spaced rows for what compares all pairs, or decomposes
_ALIGNED_IMAGES = 512


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the training features of one space lie on the sphere.

    Attributes:
        kappa: vMF concentration.
        resultant: mean resultant length.
        mmd: squared MMD to uniform, gamma 2.
        uniformity: log mean Gaussian kernel over pairs, t = 2.
        alignment: mean squared distance of the two views of an image.
        spread: mean deviation of coordinates times sqrt(d); 1 without a common direction.
        effective_rank: exp of the entropy of the singular values.
    """

    kappa: float
    resultant: float
    mmd: float
    uniformity: float
    alignment: float
    spread: float
    effective_rank: float


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals at one epoch; independent of test images and labels.

    Attributes:
        loss: mean over the epoch; None where nothing is trained.
        embedding: of y, the encoder's output.
        projection: of z, the projector's.
        collapsed: do all embeddings or all projections point the same way?
        held_out_auroc: c-Cos of the embedding, withheld normals against other classes of the
            training split, in [0, 1]; None without them. All else needs no label at all.
    """

    loss: float | None
    embedding: Geometry
    projection: Geometry
    collapsed: bool
    held_out_auroc: float | None


def measure_signals(
    method: Method,
    config: TrialConfig,
    images: npt.NDArray[np.uint8],
    held_out: HeldOut | None,
    features: Mapping[str, Tensor],
    loss: float | None,
    step: int,
) -> Signals:
    """Signals from the training images, their features by layer, and what was withheld."""
    device = features["embedding"].device
    views = _views(method, config, images, device)
    found = {name: _geometry(features[name], [view[name] for view in views]) for name in SPACES}
    return Signals(
        loss=loss,
        embedding=found["embedding"],
        projection=found["projection"],
        collapsed=step >= _BN_WARM_UP
        and any(found[name].spread < least for name, least in method.collapsed_below.items()),
        held_out_auroc=None if held_out is None else _held_out_auroc(method, held_out, features),
    )


def _held_out_auroc(method: Method, held_out: HeldOut, features: Mapping[str, Tensor]) -> float:
    train = features["embedding"]
    withheld = embed(method, held_out.images, train.device)["embedding"]
    return auroc(CCos().fit(train).score(withheld), held_out.is_outlier)


def _views(
    method: Method, config: TrialConfig, images: npt.NDArray[np.uint8], device: torch.device
) -> list[dict[str, Tensor]]:
    """Features of two random views of some images: the same ones at every epoch of a trial."""
    some = torch.tensor(images[_even(len(images), _ALIGNED_IMAGES)], device=device)
    stream = generator(device, config.seed, "alignment")
    return [embed_batch(method, augment(some, config.augment, stream)) for _ in range(2)]


def _geometry(features: Tensor, views: list[Tensor]) -> Geometry:
    rows = measured(features)
    few = torch.as_tensor(_even(len(features), _PAIRED_ROWS), device=features.device)
    some = measured(features[few])
    first, second = map(measured, views)
    resultant = resultant_length(rows)
    return Geometry(
        kappa=kappa_from_resultant(resultant, features.shape[1]),
        resultant=resultant,
        mmd=mmd_to_uniform(some),
        uniformity=uniformity(some),
        alignment=alignment(first, second),
        spread=spread(rows),
        effective_rank=effective_rank(some),
    )


def _even(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` evenly spaced indices below ``count``."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
