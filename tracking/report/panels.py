"""What a picture shows, as plain values: sections say it, ``render.draw`` draws it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot.

    Attributes:
        name: stands at its end; empty for none.
        place: which colour; the same in all panels of a study.
        faint: thin lines behind it, for instance one a trial.
        bounds: an interval a point; empty for none.
    """

    name: str
    points: Sequence[Point]
    place: int
    faint: Sequence[Sequence[Point]] = ()
    bounds: Sequence[Range] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over a number; panels that are compared share their ranges.

    Attributes:
        log: whether x and whether y are on a logarithmic scale.
        x_ticks: None for round numbers.
        chance: whether the diagonal is drawn.
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    x_range: Range
    y_range: Range
    log: tuple[bool, bool] = (False, False)
    x_ticks: Sequence[float] | None = None
    chance: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """Densities of several groups over the same bins, by the group's name.

    Attributes:
        marks: places on the horizontal axis by the name that stands there.
    """

    title: str
    x_label: str
    edges: Sequence[float]
    heights: Mapping[str, Sequence[float]]
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """One cell of a table: a value a trial, their mean, its interval if there is one."""

    values: Sequence[float]
    mean: float
    bounds: Range | None


@dataclass(frozen=True, slots=True)
class Cells:
    """A table as a picture: a column a place, a row a colour; by column, then by row."""

    title: str
    x_label: str
    columns: Mapping[str, Mapping[str, Spread]]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares in [0, 1] by (row, column) index, shown in %; what is missing stays empty.

    Attributes:
        rows, columns: a name, and the names of the levels.
        span: the range that the colours cover.
    """

    title: str
    rows: tuple[str, Sequence[str]]
    columns: tuple[str, Sequence[str]]
    values: Mapping[tuple[int, int], float]
    span: Range


@dataclass(frozen=True, slots=True)
class Dots:
    """A dot a trial."""

    title: str
    x_label: str
    points: Sequence[Point]


Panel = Curves | Histogram | Cells | HeatMap | Dots


def roomy(values: Iterable[float], *, log: bool = False) -> Range:
    """A range in which all values have room."""
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    if log:
        return low, high if high > low else low * 1.01
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room
