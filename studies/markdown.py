"""Tables in Markdown, whose columns line up also as plain text."""

import math
import statistics
from collections.abc import Sequence


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


def mean_and_spread(values: Sequence[float]) -> str:
    """Shares as mean ± standard deviation (n), in %."""
    if not values:
        return "-"
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{percent(mean(values))}{spread} ({len(values)})"


def mean_and_error(values: Sequence[float]) -> str:
    """Differences of shares as signed mean ± standard error (n), in points."""
    if not values:
        return "-"
    centre = 100 * math.fsum(values) / len(values)
    if len(values) == 1:
        return f"{centre:+.2f} (1)"
    error = 100 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{centre:+.2f} ± {error:.2f} ({len(values)})"
