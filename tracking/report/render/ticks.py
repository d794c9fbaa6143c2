"""Round numbers along an axis, and how they read."""

import math
from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from tracking.report.panels import Range

_MOST = 6


def ticks(span: Range, *, log: bool = False) -> list[float]:
    """Round values inside the range, about three to six."""
    low, high = float(span[0]), float(span[1])
    if log:
        return _log_ticks(low, high)
    inside = 1e-9 * (high - low)
    whole = low.is_integer() and high.is_integer() and high - low >= 2
    locator = MaxNLocator(nbins=_MOST - 1, steps=[1, 2, 5, 10], integer=whole)
    found = locator.tick_values(low, high)
    return [float(tick) for tick in found if low - inside <= tick <= high + inside]


def named(values: Sequence[float]) -> list[str]:
    """With as many digits as tell neighbours apart, at least three."""
    digits = 3
    while len({f"{value:.{digits}g}" for value in values}) < len(values):
        digits += 1
    return [f"{v:,.0f}" if 1000 <= abs(v) < 1e6 else f"{v:.{digits}g}" for v in map(_clean, values)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        found = [step * 10.0**decade for decade in decades for step in steps]
        found = [value for value in found if low <= value <= high]
        if len(found) > 2:
            return found[:: -(-len(found) // _MOST)]
    return [low, high]


def _clean(value: float) -> float:
    """Without what rounding leaves of 0."""
    return 0.0 if abs(value) < 1e-12 else value
