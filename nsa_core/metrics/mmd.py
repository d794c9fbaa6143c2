"""How far directions are from uniform: uniformity, and the MMD to the uniform distribution."""

import math

import numpy as np
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.metrics.directions import Array, Rows, library, unit_rows

_BLOCK = 1024


def uniformity(features: Rows, t: float = 2.0) -> float:
    """log of the mean of exp(-t |a - b|^2) over pairs of distinct unit rows (Wang & Isola 2020).

    In [-4 t, 0]; 0 when all rows point the same way, lower is more uniform. Rows [N, d] are
    normalised here, N >= 2. The same order as ``mmd_to_uniform`` with gamma = t.
    """
    mean = mean_kernel(features, _checked(t, "t"))
    if mean == 0:
        raise InputError(f"t is {t}; exp(-t |a - b|^2) underflows to 0 for every pair of rows")
    return math.log(mean)


def mmd_to_uniform(features: Rows, gamma: float = 2.0) -> float:
    """Squared maximum mean discrepancy of directions to the uniform distribution on the sphere.

    Kernel exp(-gamma |a - b|^2). The uniform self term equals the cross term, because the sphere
    looks the same from every point, so MMD^2 = E k(x, x') - ``uniform_kernel(d, gamma)``: no random
    samples. The mean runs over pairs of distinct rows (U-statistic), so it is unbiased, and for
    uniform directions it may fall just below 0.

    Args:
        features: [N, d], N >= 2, d >= 2; rows are normalised here.
        gamma: of the kernel, above 0.
    """
    unit = unit_rows(features)
    return mean_kernel(unit, gamma) - uniform_kernel(unit.shape[1], gamma)


def uniform_kernel(dim: int, gamma: float) -> float:
    """E exp(-gamma |u - v|^2) of independent uniform directions in ``dim`` dimensions.

    exp(-2 gamma) 0F1(; dim / 2; gamma^2), in [0, 1]; its series has positive terms only, and is
    scaled down as it grows, for it overflows where exp(-2 gamma) underflows.
    """
    if dim < 2:
        raise InputError(f"dim is {dim}; need at least 2")
    log_scale = -2 * _checked(gamma)
    term = total = 1.0
    k = 0
    while term > 1e-18 * total or k < gamma:
        term *= gamma * gamma / ((dim / 2 + k) * (k + 1))
        total += term
        k += 1
        if total > 1e100:
            log_scale += math.log(total)
            term, total = term / total, 1.0
    return math.exp(log_scale + math.log(total))


def mean_kernel(features: Rows, gamma: float) -> float:
    """Mean of exp(-gamma |a - b|^2) over pairs of distinct unit rows."""
    unit, gamma = unit_rows(features), _checked(gamma)
    if len(unit) < 2:
        raise InputError("features have 1 row; pairs need at least 2")
    pairs = len(unit) * (len(unit) - 1)
    total: Array = 0.0
    for start in range(0, len(unit), _BLOCK):
        cosines = unit[start : start + _BLOCK] @ unit.T
        kernel = library(unit).exp(2 * gamma * (cosines.clip(max=1) - 1))
        _fill_diagonal(kernel[:, start:])  # not subtracted: the ones would drown a small sum
        total = total + kernel.sum()
    return float(total) / pairs


def _fill_diagonal(kernel: Array) -> None:
    if isinstance(kernel, Tensor):
        kernel.fill_diagonal_(0)
    else:
        np.fill_diagonal(kernel, 0)


def _checked(value: float, name: str = "gamma") -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value}; need a number above 0")
    return float(value)
