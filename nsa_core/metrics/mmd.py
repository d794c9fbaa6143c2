"""How far directions are from uniform: uniformity, and the MMD to the uniform distribution."""

import math

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError, whole
from nsa_core.metrics.kappa import unit_rows

_BLOCK = 1024


def uniformity(features: npt.ArrayLike, t: float = 2.0) -> float:
    """log of the mean of exp(-t |a - b|^2) over pairs of distinct unit rows (Wang & Isola 2020).

    In [-4 t, 0]; 0 when all rows point the same way, lower is more uniform. Rows [N, d] are
    normalised here, N >= 2. The same order as ``mmd_to_uniform`` with gamma = t.
    """
    mean = mean_kernel(features, _checked(t, "t"))
    if mean == 0:
        raise InputError(f"t is {t}; exp(-t |a - b|^2) underflows to 0 for every pair of rows")
    return math.log(mean)


def mmd_to_uniform(features: npt.ArrayLike, gamma: float = 2.0) -> float:
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


def mmd_to_uniform_sampled(
    features: npt.ArrayLike, gamma: float = 2.0, samples: int | None = None, seed: int = 0
) -> float:
    """The same, estimated from random uniform directions: what papers compute.

    E k(x, x') - 2 E k(x, u) + E k(u, u'), each over distinct pairs; ``samples`` directions u
    (as many as rows if None, at least 2) from ``seed``.
    """
    unit = unit_rows(features)
    count = len(unit) if samples is None else whole("samples", samples, 2)
    directions = unit_rows(np.random.default_rng(seed).normal(size=(count, unit.shape[1])))
    cross = _kernel_sum(unit, directions, _checked(gamma)) / (len(unit) * len(directions))
    return mean_kernel(unit, gamma) - 2 * cross + mean_kernel(directions, gamma)


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


def mean_kernel(features: npt.ArrayLike, gamma: float) -> float:
    """Mean of exp(-gamma |a - b|^2) over pairs of distinct unit rows."""
    unit = unit_rows(features)
    if len(unit) < 2:
        raise InputError("features have 1 row; pairs need at least 2")
    pairs = len(unit) * (len(unit) - 1)
    return _kernel_sum(unit, unit, _checked(gamma), distinct=True) / pairs


def _kernel_sum(
    a: npt.NDArray[np.float64],
    b: npt.NDArray[np.float64],
    gamma: float,
    *,
    distinct: bool = False,
) -> float:
    """Sum over all pairs of rows; ``distinct`` leaves out row i of a with row i of b."""
    total = 0.0
    for start in range(0, len(a), _BLOCK):
        cosines = a[start : start + _BLOCK] @ b.T
        kernel = np.exp(2 * gamma * (np.minimum(cosines, 1) - 1))
        if distinct:  # left out, not subtracted: the ones would drown a small sum
            np.fill_diagonal(kernel[:, start:], 0)
        total += float(kernel.sum())
    return total


def _checked(value: float, name: str = "gamma") -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value}; need a number above 0")
    return float(value)
