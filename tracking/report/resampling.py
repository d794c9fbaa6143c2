"""Resampled class means and flipped signs, the same at every call."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 4000
EXACT_SIGNS = 14  # 2^14 sign patterns; above, as many random ones
_SEED = 20230107


@lru_cache(maxsize=64)
def _resamples(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(count, size=(_RESAMPLES, count))


def studentised_quantiles(means: NDArray[np.float64], tail: float) -> tuple[float, float]:
    """Lower and upper quantile of (mean* - mean) / error* over resampled classes."""
    drawn = means[_resamples(len(means))]
    shift = drawn.mean(axis=1) - means.mean()
    error = drawn.std(axis=1, ddof=1) / np.sqrt(len(means))
    # one class drawn over and over has no spread: infinitely far, but for rounding
    flat = error <= 1e-9 * means.std()
    ratio = np.where(flat, np.copysign(np.inf, shift), shift / np.where(flat, 1.0, error))
    low = np.quantile(ratio, tail, method="lower")
    high = np.quantile(ratio, 1 - tail, method="higher")
    return float(low), float(high)


@lru_cache(maxsize=64)
def sign_patterns(count: int) -> NDArray[np.float64]:
    """Sign patterns [patterns, count] of +1 and -1: all of them, or random ones of many."""
    if count <= EXACT_SIGNS:
        bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        bits = np.random.default_rng(_SEED).integers(2, size=(2**EXACT_SIGNS, count))
    return (1 - 2 * bits).astype(np.float64)
