"""Checks and scaling that all scorers share."""

from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.errors import InputError

Features = Tensor | npt.NDArray[Any]
"""[N, d] real features: a tensor on any device, or an array."""


_SPARE = 7  # candidates beyond those wanted, against rounding in float32


def prepared(features: Features, *, normalize: bool, dim: int | None = None) -> Tensor:
    """Features as float64 [N, d], their rows scaled to length 1 if asked for.

    Raises:
        InputError: not [N, d] with N >= 1, another d than in training, NaN, infinity, or (when
            normalising) a row of zeros.
    """
    values = torch.as_tensor(features).detach().double()
    if values.ndim != 2 or len(values) == 0 or values.shape[1] == 0:
        raise InputError(f"features are {list(values.shape)}; need [N, d] with N, d >= 1")
    if dim is not None and values.shape[1] != dim:
        raise InputError(f"features have {values.shape[1]} dimensions; the scorer was fit on {dim}")
    if not values.isfinite().all():
        bad = int((~values.isfinite().all(dim=1)).nonzero()[0, 0])
        raise InputError(f"feature row {bad} holds NaN or infinity")
    if not normalize:
        return values
    if not values.any(dim=1).all():
        bad = int((~values.any(dim=1)).nonzero()[0, 0])
        raise InputError(f"feature row {bad} is all zeros; it has no direction to normalise")
    return F.normalize(values, dim=1, eps=0)


def nearest_angle(queries: Tensor, bank: Tensor, neighbours: int = 1) -> Tensor:
    """Mean angle in radians, [M], from each unit query to its closest unit rows of the bank.

    The search runs in float32, in blocks, around the bank's mean (so that compact features keep
    their digits), and finds a few rows more than wanted; their angles are then computed in float64
    as 2 atan2(|a - b|, |a + b|), exact also where the arc cosine loses all digits, and the
    smallest are taken.
    """
    neighbours = min(neighbours, len(bank))
    candidates = min(neighbours + _SPARE, len(bank))
    centre = bank.mean(dim=0)
    narrow = (bank - centre).float().T.contiguous()
    bias = -(bank - centre).square().sum(dim=1).float() / 2
    angles = []
    for block in queries.split(1024):
        near = torch.addmm(bias, (block - centre).float(), narrow).topk(candidates, dim=1).indices
        found = bank[near]  # [block, candidates, d]
        ours = block[:, None]
        angle = 2 * torch.atan2((ours - found).norm(dim=2), (ours + found).norm(dim=2))
        angles.append(angle.topk(neighbours, dim=1, largest=False).values.mean(dim=1))
    return torch.cat(angles)
