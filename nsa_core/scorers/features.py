"""Checks, scaling and blocks that all scorers share."""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.errors import InputError

Made = TypeVar("Made")

Scores = npt.NDArray[np.float64]
"""[N] anomaly scores, higher is more anomalous."""

_BLOCK = 1024  # rows at a time: their similarities to a bank of thousands stay in the cache
_BLOCK_ELSEWHERE = 4096  # where launching a kernel costs more than running it on few rows


class FeatureSet:
    """Features [N, d], checked once, and what several scorers make of them, each made once.

    Attributes:
        values: [N, d], where and in the precision that they were given.
        lengths: of the rows, float64 [N, 1].

    Raises:
        InputError: not [N, d] with N, d >= 1, NaN or infinity.
    """

    def __init__(self, features: Tensor | npt.NDArray[Any]) -> None:
        values = torch.as_tensor(features).detach()
        if values.ndim != 2 or len(values) == 0 or values.shape[1] == 0:
            raise InputError(f"features are {list(values.shape)}; need [N, d] with N, d >= 1")
        self.values = values if values.is_floating_point() else values.double()
        self.lengths: Tensor = torch.linalg.vector_norm(
            self.values, dim=1, keepdim=True, dtype=torch.float64
        )
        if not self.lengths.isfinite().all():
            bad = int((~self.lengths[:, 0].isfinite()).int().argmax())
            raise InputError(f"feature row {bad} holds NaN or infinity")
        self._made: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, features: "Features") -> "FeatureSet":
        """The set itself, or a new one of a tensor or array."""
        return features if isinstance(features, FeatureSet) else cls(features)

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def divisors(self) -> Tensor:
        """The lengths, none of them 0; an InputError names a row of zeros."""
        if not self.lengths.all():
            bad = int((self.lengths[:, 0] == 0).int().argmax())
            raise InputError(f"feature row {bad} is all zeros; it has no direction to normalise")
        return self.lengths

    def rows(self, *, normalize: bool) -> Tensor:
        """Float64 [N, d], scaled to length 1 if asked for (and then kept)."""
        if not normalize:
            return self.values.double()
        return self.once("unit", self._unit)

    def _unit(self) -> Tensor:
        unit: Tensor = self.values.double() / self.divisors
        return unit

    def once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, made at the first call under this name."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made


Features = Tensor | npt.NDArray[Any] | FeatureSet
"""[N, d] real features: a tensor on any device, an array, or what several scorers share."""


def prepared(features: Features, *, normalize: bool) -> Tensor:
    """Features as float64 [N, d], their rows scaled to length 1 if asked for.

    Raises:
        InputError: not [N, d] with N >= 1, NaN, infinity, or (when normalising) a row of zeros.
    """
    return FeatureSet.of(features).rows(normalize=normalize)


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

    Raises:
        InputError: as ``prepared``, or another d than in training.
    """
    found = FeatureSet.of(features)
    if (given := found.values.shape[1]) != (dim := like.shape[-1]):
        raise InputError(f"features have {given} dimensions; the scorer was fit on {dim}")
    lengths = found.divisors if normalize else found.lengths
    size = _BLOCK if like.device.type == "cpu" else _BLOCK_ELSEWHERE
    parts = []
    for block, length in zip(found.values.split(size), lengths.split(size), strict=True):
        rows = block.to(like.device).double()
        parts.append(score(rows / length.to(like.device) if normalize else rows))
    return torch.cat(parts).double().cpu().numpy()


def working_dtype(features: Features) -> torch.dtype:
    """Precision of products with features: float32 for float32 features, else float64."""
    values = features.values if isinstance(features, FeatureSet) else torch.as_tensor(features)
    return torch.float64 if values.dtype == torch.float64 else torch.float32
