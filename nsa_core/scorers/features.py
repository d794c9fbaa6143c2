"""Checks, scaling and blocks that all scorers share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.errors import InputError

Features = Tensor | npt.NDArray[Any]
"""[N, d] real features: a tensor on any device, or an array."""

Scores = npt.NDArray[np.float64]
"""[N] anomaly scores, higher is more anomalous."""

_BLOCK = 1024  # rows at a time: their similarities to a bank of thousands stay in the cache


def prepared(features: Features, *, normalize: bool, dim: int | None = None) -> Tensor:
    """Features as float64 [N, d], their rows scaled to length 1 if asked for.

    Raises:
        InputError: not [N, d] with N >= 1, another d than in training, NaN, infinity, or (when
            normalising) a row of zeros.
    """
    values, lengths = _checked(features, normalize=normalize, dim=dim)
    return values.double() / lengths if normalize else values.double()


def score_blocks(
    features: Features,
    score: Callable[[Tensor], Tensor],
    *,
    normalize: bool,
    like: Tensor,
) -> Scores:
    """Scores of features, block by block, so that memory stays small and caches warm.

    ``score`` maps a block of prepared rows, float64 [B, d] on the device of ``like`` (whose last
    dimension is d), to [B].
    """
    values, lengths = _checked(features, normalize=normalize, dim=like.shape[-1])
    parts = []
    for block, length in zip(values.split(_BLOCK), lengths.split(_BLOCK), strict=True):
        rows = block.to(like.device).double()
        parts.append(score(rows / length.to(like.device) if normalize else rows))
    return torch.cat(parts).double().cpu().numpy()


def working_dtype(features: Features) -> torch.dtype:
    """The precision of products with features: float32 holds all that float32 features know."""
    return torch.float64 if torch.as_tensor(features).dtype == torch.float64 else torch.float32


def _checked(features: Features, *, normalize: bool, dim: int | None) -> tuple[Tensor, Tensor]:
    """The features as a tensor [N, d] and their lengths, float64 [N, 1]."""
    values = torch.as_tensor(features).detach()
    if values.ndim != 2 or len(values) == 0 or values.shape[1] == 0:
        raise InputError(f"features are {list(values.shape)}; need [N, d] with N, d >= 1")
    if dim is not None and values.shape[1] != dim:
        raise InputError(f"features have {values.shape[1]} dimensions; the scorer was fit on {dim}")
    if not values.is_floating_point():
        values = values.double()
    lengths = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float64)
    if not lengths.isfinite().all():
        bad = int((~lengths[:, 0].isfinite()).int().argmax())
        raise InputError(f"feature row {bad} holds NaN or infinity")
    if normalize and not lengths.all():
        bad = int((lengths[:, 0] == 0).int().argmax())
        raise InputError(f"feature row {bad} is all zeros; it has no direction to normalise")
    return values, lengths
