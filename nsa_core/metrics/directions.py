"""Unit rows of features: numpy measures arrays, and torch tensors on the device they lie on."""

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.errors import InputError

Rows = npt.ArrayLike | Tensor
"""[N, d] real features."""

Array = Any
"""float64, of numpy or of torch: the formulas of both are the same line."""


def unit_rows(features: Rows) -> Array:
    """Scale the rows of [N, d] to length 1 in float64; an InputError names rows of zeros."""
    if isinstance(features, Tensor):
        values: Array = features.detach().double()
    else:
        values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise InputError(f"features are {list(values.shape)}; need [N, d] with d >= 2")
    lengths = library(values).linalg.norm(values, axis=1, keepdims=True)
    if not library(values).isfinite(lengths).all():
        raise InputError("features are not finite; a feature holds NaN or infinity")
    if (lengths == 0).any():
        raise InputError(f"feature row {int(lengths.argmin())} is all zeros; it has no direction")
    return values / lengths


def measured(features: Tensor) -> Array:
    """A trial's features for metrics: as an array on a CPU, where numpy's order of sums is that of
    all stores, and on a GPU where they lie.
    """
    return features.numpy() if features.device.type == "cpu" else features


def library(values: Array) -> ModuleType:
    """Whose functions these values take."""
    return torch if isinstance(values, Tensor) else np
