"""How numbers and configuration values read in a report."""

from typing import Any

NONE = "–"

Bounds = tuple[float, float] | None


def percent(share: float | None) -> str:
    """A share in [0, 1] as 87.8; a dash for None."""
    return NONE if share is None else f"{100 * share:.1f}"


def points(difference: float | None) -> str:
    """A difference of shares as +2.3, with a minus sign that is as wide as the plus."""
    return NONE if difference is None else signed(100 * difference, 1)


def signed(value: float, decimals: int = 2) -> str:
    """A number with its sign; none for what rounds to 0."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\u2212")


def percent_interval(bounds: Bounds) -> str:
    """As [80.9, 95.1], cut off at 0 and 100; empty for None."""
    if bounds is None:
        return ""
    low, high = (min(1.0, max(0.0, bound)) for bound in bounds)
    return f"[{percent(low)}, {percent(high)}]"


def points_interval(bounds: Bounds) -> str:
    """As [+0.9, +5.1]; empty for None."""
    return "" if bounds is None else f"[{points(bounds[0])}, {points(bounds[1])}]"


def p_value(p: float) -> str:
    """Two digits, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits, separators from a thousand on; a dash for None and NaN."""
    if value is None or value != value:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """Seconds as 42 s, 12.3 min or 5.1 h."""
    if seconds is None or seconds != seconds:
        return NONE
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def count(number: int, what: str, plural: str | None = None) -> str:
    """For instance 1 class, 3 classes."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def value_text(value: Any) -> str:
    """A configuration value."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NONE}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def field_text(field: str) -> str:
    """A configuration field in words."""
    return field.replace("_", " ")


def listed(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
