"""What is known of a model at one epoch: signals without labels, and the test apart from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core import scorers
from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.methods import Method
from nsa_core.metrics import auroc, effective_rank, kappa, spread
from nsa_core.training.precision import autocast

COLLAPSED_PROJECTION = 0.1  # spread below which projections have collapsed; near 1 otherwise
COLLAPSED_EMBEDDING = 0.01  # the same for embeddings, which are meant to be compact
_BN_WARM_UP = 30  # steps until running statistics, and so the spread of projections, mean anything
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Signals:
    """What training images alone tell; anything that selects may read these and nothing else.

    Attributes:
        loss: mean over the epoch.
        kappa_train: concentration of the training embeddings.
        spread_embedding, spread_projection: see ``metrics.spread``; collapse shows in the latter.
        effective_rank: of the training embeddings.
        collapsed: do all embeddings or all projections point the same way?
    """

    loss: float
    kappa_train: float
    spread_embedding: float
    spread_projection: float
    effective_rank: float
    collapsed: bool


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """What needs the test images and their flags; nothing that selects may see it.

    Attributes:
        kappa_normal, kappa_outlier: concentration of the test embeddings.
        scores: scorer name to float64 [m], higher is more anomalous.
        auroc: scorer name to a number in [0, 1].
    """

    __test__ = False  # not a test case

    kappa_normal: float
    kappa_outlier: float
    scores: dict[str, npt.NDArray[np.float64]]
    auroc: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One evaluated epoch.

    Attributes:
        epoch: epochs trained, from 1.
        step: optimiser steps trained.
        total_steps: of the whole training; equal to ``step`` at the end.
        signals: without labels.
        test: with labels.
        train_seconds: time spent training since the previous evaluation.
        images_per_second: training images (not views) a second in that time.
        evaluate_seconds: time this evaluation took.
    """

    epoch: int
    step: int
    total_steps: int
    signals: Signals
    test: TestResult
    train_seconds: float
    images_per_second: float
    evaluate_seconds: float


def evaluate(
    method: Method,
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    loss: float,
    step: int,
) -> tuple[Signals, TestResult]:
    """Embed training and test images without augmentation and measure them."""
    train = embed(method, split.train_images, device, config.precision)
    test = embed(method, split.test_images, device, config.precision)
    with torch.inference_mode():
        projection = torch.cat([method.project(block) for block in train.split(_BATCH)])
    train_array = train.cpu().numpy()
    of_embedding, of_projection = spread(train_array), spread(projection.cpu().numpy())
    signals = Signals(
        loss=loss,
        kappa_train=kappa(train_array),
        spread_embedding=of_embedding,
        spread_projection=of_projection,
        effective_rank=effective_rank(train_array),
        collapsed=step >= _BN_WARM_UP
        and (of_embedding < COLLAPSED_EMBEDDING or of_projection < COLLAPSED_PROJECTION),
    )
    scores = {name: scorers.build(name).fit(train).score(test) for name in scorers.available()}
    test_array = test.cpu().numpy()
    return signals, TestResult(
        kappa_normal=kappa(test_array[~split.test_is_outlier]),
        kappa_outlier=kappa(test_array[split.test_is_outlier]),
        scores=scores,
        auroc={name: auroc(values, split.test_is_outlier) for name, values in scores.items()},
    )


def embed(
    method: Method, images: npt.NDArray[np.uint8], device: torch.device, precision: str
) -> Tensor:
    """Embeddings y, float32 [N, features], in evaluation mode; leaves the method in that mode."""
    method.eval()
    blocks = []
    with torch.inference_mode(), autocast(device, precision):
        for start in range(0, len(images), _BATCH):
            block = np.ascontiguousarray(images[start : start + _BATCH])
            batch = torch.tensor(block, device=device).float().div_(255)
            blocks.append(method.encoder(batch))
    return torch.cat(blocks)
