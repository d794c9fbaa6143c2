"""Tables in Markdown, whose columns line up also as plain text."""

import math
from collections.abc import Mapping, Sequence

from tracking.statistics import class_mean, interval


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(3, *map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, body)])


def mean(values: Sequence[float]) -> float | None:
    """None of no values."""
    return math.fsum(values) / len(values) if values else None


def percent(value: float | None) -> str:
    """A share in [0, 1] as 12.34; a dash for None."""
    return "-" if value is None else f"{100 * value:.2f}"


def mean_and_interval(values: Mapping[tuple[int, int], float], *, signed: bool = False) -> str:
    """Shares by (class, seed) as mean [95 % interval] (n), in %; a dash for none.

    Every class counts the same. Without an interval where there are too few values for one.
    """
    if not values:
        return "-"
    by_class: dict[int, list[float]] = {}
    for (index, _), value in values.items():
        by_class.setdefault(index, []).append(value)
    form = "+.2f" if signed else ".2f"
    text = f"{100 * class_mean(by_class):{form}}"
    if (bounds := interval(by_class)) is not None:
        if not signed:  # a share
            bounds = max(0.0, bounds[0]), min(1.0, bounds[1])
        text += f" [{100 * bounds[0]:{form}}, {100 * bounds[1]:{form}}]"
    return f"{text} ({len(values)})"
