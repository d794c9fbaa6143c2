"""Conformal p-values: a threshold with a promise, from normal images that nothing was fit on.

Let n calibration scores and the score of a new normal image be exchangeable (the image could as
well have been one of the n, and nothing was trained or fit on any of them). Then the p-value of the
new image is at most any rate with at most that probability (Vovk et al. 2005; for outliers: Bates
et al. 2023). The promise is on average over calibration sets; ``rate_range`` says how far one set
is from it. Near duplicates of training images among the calibration images break it: their scores
are lower than a new image's. Outliers among them keep it: their scores are high, so fewer images
are flagged.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from nsa_core.errors import InputError

Values = npt.NDArray[np.float64]

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996


def p_values(calibration: Values, scores: Values) -> Values:
    """(1 + how many calibration scores are at least this one) / (n + 1), in (0, 1].

    Args:
        calibration: [n] anomaly scores in any order; with n = 0 every p-value is 1.
        scores: [m] anomaly scores; higher is more anomalous.
    """
    ordered = np.sort(calibration)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    found: Values = (1 + at_least) / (len(ordered) + 1)
    return found


def threshold(calibration: Values, false_alarm_rate: float) -> float:
    """The score above which an image is flagged: exactly those whose p-value is at most the rate.

    Infinite where n scores cannot promise the rate (below ``least_rate(n)``): nothing is flagged.
    """
    allowed = _allowed(len(calibration), false_alarm_rate)
    return float(np.sort(calibration)[-allowed]) if allowed else math.inf


def least_rate(n: int) -> float:
    """The smallest false-alarm rate that n calibration scores can promise."""
    return 1 / (n + 1)


def is_promised(n: int, false_alarm_rate: float) -> bool:
    """Can n calibration scores promise this rate?"""
    return _allowed(n, false_alarm_rate) > 0


def rate_range(n: int, false_alarm_rate: float, confidence: float = 0.9) -> tuple[float, float]:
    """Between what the false-alarm rate of one calibration set of n scores lies, with a confidence.

    The rate of a set follows a Beta distribution (Vovk 2012) whose mean is at most the promised
    rate; (0, 0) where nothing is flagged. Of scores without ties.
    """
    allowed = _allowed(n, false_alarm_rate)
    if not allowed:
        return 0.0, 0.0
    low, high = beta.interval(confidence, allowed, n + 1 - allowed)
    return float(low), float(high)


def benjamini_hochberg(p: Values, rate: float) -> npt.NDArray[np.bool_]:
    """Which of m images to flag so that at most this share of the flagged is normal, on average.

    The largest k with the k-th smallest p-value at most k / m times the rate (Benjamini & Hochberg
    1995); conformal p-values depend on each other in a way that keeps the promise (Bates et al.
    2023). Of n calibration scores p-values are at least 1 / (n + 1): where few of many images are
    outliers, n must be large for any to be flagged.

    Args:
        p: [m] p-values in (0, 1].
        rate: the false-discovery rate, in (0, 1).
    """
    checked_rate("false_discovery_rate", rate)
    order = np.argsort(p, kind="stable")
    passing = p[order] <= rate * np.arange(1, len(p) + 1) / max(1, len(p)) * (1 + _ROUNDING)
    flagged = np.zeros(len(p), dtype=np.bool_)
    if passing.any():
        flagged[order[: np.flatnonzero(passing)[-1] + 1]] = True
    return flagged


def least_discoveries(calibrated: int, count: int, rate: float) -> int:
    """The fewest of ``count`` images that Benjamini and Hochberg can flag, all with the smallest
    p-value that so many calibration scores allow; above ``count`` none can be.
    """
    return math.ceil(count / ((calibrated + 1) * rate) - _ROUNDING)


def checked_rate(name: str, rate: object) -> float:
    """A rate in (0, 1), or an InputError that names it."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
        raise InputError(f"{name} is {rate!r}; need a number in (0, 1), 0.05 for 5 %")
    return float(rate)


def _allowed(n: int, false_alarm_rate: float) -> int:
    """Ranks from the top, of n + 1, that a new score may take and be flagged."""
    rate = checked_rate("false_alarm_rate", false_alarm_rate)
    return math.floor(rate * (n + 1) + _ROUNDING)
