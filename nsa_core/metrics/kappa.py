"""Concentration of directions: the kappa of a von Mises-Fisher fit, exactly.

The maximum-likelihood kappa solves A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa) = R, with R the
length of the mean of the unit features (Sra 2012). Ratios of Bessel functions overflow for large d,
so A comes from its continued fraction. Near R = 1 all digits are in 1 - R, so the recurrence runs
on 1 - A.
"""

import math

from nsa_core.errors import InputError
from nsa_core.metrics.directions import Array, Rows, library, unit_rows

_MAX_ITERATIONS = 60
_HANKEL_TERMS = 12


def kappa(features: Rows) -> float:
    """Maximum-likelihood vMF concentration of features [N, d]; rows are normalised here.

    Even uniform directions give about d / sqrt(N), 16 at N = 1,000 and d = 512: compare only at
    equal N and d. All rows in one direction give infinity.

    Raises:
        InputError: not [N, d] with d >= 2, not finite, or a row of zeros.
    """
    unit = unit_rows(features)
    return kappa_from_resultant(_length(unit), unit.shape[1])


def resultant_length(features: Rows) -> float:
    """Length of the mean of the unit rows of [N, d], in [0, 1].

    Even uniform directions give about 1 / sqrt(N), so sets of different sizes do not compare.
    """
    return _length(unit_rows(features))


def _length(unit: Array) -> float:
    return min(float(library(unit).linalg.norm(unit.mean(axis=0))), 1.0)


def kappa_from_resultant(length: float, dim: int) -> float:
    """Solve A_dim(kappa) = length for kappa in [0, inf].

    Args:
        length: mean resultant length in [0, 1].
        dim: dimension of the space, at least 2.

    Raises:
        InputError: an argument out of its range.
    """
    if not 0 <= length <= 1:
        raise InputError(f"resultant length is {length}; need a number in [0, 1]")
    if dim < 2:
        raise InputError(f"dim is {dim}; need at least 2")
    if length == 0:
        return 0.0
    if length == 1:
        return math.inf
    gap = 1 - length  # exact for length >= 1/2
    low, high = _bounds(length, dim)
    value = math.sqrt(low) * math.sqrt(high)
    for _ in range(_MAX_ITERATIONS):
        ratio, ratio_gap = _ratio(value, dim)
        error = gap - ratio_gap if length >= 0.5 else ratio - length
        if error > 0:
            high = value
        else:
            low = value
        slope = ratio_gap * (1 + ratio) - (dim - 1) / value * ratio
        if ratio_gap < 1e-7:  # the two terms cancel; by now 1 - A falls as 1 / kappa
            slope = ratio_gap / value
        step = value - error / slope if slope > 0 else math.nan
        if not low <= step <= high:
            step = (low + high) / 2
        if abs(step - value) <= 1e-15 * step:
            return step
        value = step
    return value


def _bounds(length: float, dim: int) -> tuple[float, float]:
    """Kappas below and above the solution, from Amos-type bounds x / (a + sqrt(x^2 + b^2))."""
    nu = dim / 2 - 1
    gap2 = (1 - length) * (1 + length)

    def invert(a: float, b: float) -> float:
        return length * (a + math.sqrt(a * a * length * length + b * b * gap2)) / gap2

    return invert(nu, nu + 2) * (1 - 1e-12), invert(nu + 0.5, nu + 1.5) * (1 + 1e-12)


def _ratio(value: float, dim: int) -> tuple[float, float]:
    """A_dim(value) and 1 - A_dim(value), each to a few units in its last place.

    r_k = I_{nu+k} / I_{nu+k-1} obeys r_k = 1 / (2 (nu + k) / value + r_{k+1}); the recurrence runs
    down from an Amos bound, whose error shrinks by r^2 a step.
    """
    nu = dim / 2 - 1
    if value > max(1e3, 10 * (nu + 1) ** 2):
        return _hankel_ratio(value, nu)
    start = _start(value, nu)
    order = nu + start
    root = math.hypot(value, order + 0.5)
    ratio = value / (order - 0.5 + root)
    ratio_gap = (order - 0.5 + (order + 0.5) ** 2 / (root + value)) / (order - 0.5 + root)
    for k in range(start - 1, 0, -1):
        term = 2 * (nu + k) / value
        if ratio > 0.5:  # keep relative accuracy of the small one of the two
            ratio_gap = (term - ratio_gap) / (term + 1 - ratio_gap)
            ratio = 1 - ratio_gap
        else:
            ratio = 1 / (term + ratio)
            ratio_gap = 1 - ratio
    return ratio, ratio_gap


def _hankel_ratio(value: float, nu: float) -> tuple[float, float]:
    """The same from Hankel's expansion for large arguments (DLMF 10.40.1), in a few terms.

    1 - A is the sum of the differences of the two series' terms; each is small, none cancels.
    """
    low, high = 1.0, 1.0
    series, difference = 1.0, 0.0
    for k in range(1, _HANKEL_TERMS + 1):
        low *= -(4 * nu * nu - (2 * k - 1) ** 2) / (8 * k * value)
        high *= -(4 * (nu + 1) ** 2 - (2 * k - 1) ** 2) / (8 * k * value)
        series += low
        difference += (2 * nu + 1) / (2 * value) if k == 1 else low - high
    gap = difference / series
    return 1 - gap, gap


def _start(value: float, nu: float) -> int:
    """Number of steps after which a relative error of 0.1 has shrunk below 1e-18."""
    log_left, k = 40.0, 1
    while log_left > 0:
        k += 1
        order = nu + k
        log_left -= 2 * math.log((order - 0.5 + math.hypot(value, order + 0.5)) / value)
    return k + 1
