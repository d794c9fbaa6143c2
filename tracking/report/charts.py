"""Small drawings in SVG: axes, lines, bars, tiles. Text and frame take the page's colour."""

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a7a7a", "#8c564b",
)  # fmt: skip
"""Okabe and Ito's, told apart by the colour-blind; the page may lighten them as --c0 to --c7."""

WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 44, 286, 26, 198
Point = tuple[float, float]


def colour(index: int) -> str:
    """The colour of a line; dashes tell the ninth from the first."""
    return f"var(--c{index % len(COLOURS)}, {COLOURS[index % len(COLOURS)]})"


def dash(index: int) -> str:
    """Attributes of a line's pattern."""
    pattern = ("", "5 2", "2 2", "7 2 2 2")[index // len(COLOURS) % 4]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


@dataclass(frozen=True)
class Axis:
    """From values to pixels.

    Attributes:
        low, high: of the values.
        start, end: of the pixels.
        log: whether the values are on a logarithmic scale; they must be positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within, three to six or so."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5)):
                found = [s * 10.0**d for d in decades for s in steps]
                found = [value for value in found if self.low <= value <= self.high]
                if len(found) > 2:
                    return found[:: -(-len(found) // 6)]
            return [self.low, self.high]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / 3))
        step *= max(m for m in (1, 2, 5) if m * step <= span / 3)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def spanning(values: Iterable[float], start: float, end: float, *, log: bool = False) -> Axis:
    """An axis on which all values have room."""
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    if log:
        return Axis(low, high if high > low else low * 1.01, start, end, log=True)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - room, high + room, start, end)


@dataclass
class Panel:
    """One drawing with a frame.

    Attributes:
        title: above it.
        x, y: its axes; ``panel_axes`` makes them.
        x_label: below it.
    """

    title: str
    x: Axis
    y: Axis
    x_label: str
    marks: list[str] = field(default_factory=list)
    _ends: list[tuple[float, str, int]] = field(default_factory=list)

    def faint_lines(self, lines: Iterable[Sequence[Point]], index: int) -> None:
        """Thin lines of one colour, as one path."""
        path = "".join(self._path(line) for line in lines)
        self.marks.append(
            f'<path d="{path}" fill="none" stroke="{colour(index)}" stroke-width="0.8" '
            f'stroke-opacity="0.28"{dash(index)}/>'
        )

    def line(self, points: Sequence[Point], index: int, name: str = "") -> None:
        """A thick line, named at its end."""
        self.marks.append(
            f'<path d="{self._path(points)}" fill="none" stroke="{colour(index)}" '
            f'stroke-width="2.2" stroke-linejoin="round"{dash(index)}/>'
        )
        if name:
            self._ends.append((self.y(points[-1][1]), name, index))

    def whisker(self, at: float, low: float, high: float, middle: float, index: int) -> None:
        """A dot with its interval."""
        x, bottom, top, dot = at, self.y(low), self.y(high), self.y(middle)
        self.marks.append(
            f'<path d="M{x:.1f} {bottom:.1f}V{top:.1f}" stroke="{colour(index)}" '
            f'stroke-width="1.2"/><circle cx="{x:.1f}" cy="{dot:.1f}" r="3" '
            f'fill="{colour(index)}"/>'
        )

    def bars(self, edges: Sequence[float], heights: Sequence[float], index: int, name: str) -> None:
        """A filled histogram, named at the right."""
        path = f"M{self.x(edges[0]):.1f} {self.y(0):.1f}"
        for (left, right), height in zip(itertools.pairwise(edges), heights, strict=True):
            path += (
                f"L{self.x(left):.1f} {self.y(height):.1f}L{self.x(right):.1f} {self.y(height):.1f}"
            )
        path += f"L{self.x(edges[-1]):.1f} {self.y(0):.1f}Z"
        self.marks.append(
            f'<path d="{path}" fill="{colour(index)}" fill-opacity="0.4" '
            f'stroke="{colour(index)}" stroke-width="1"{dash(index)}/>'
        )
        self._ends.append((TOP + 20 + 16 * len(self._ends), name, index))

    def diagonal(self) -> None:
        """What chance would give."""
        self.marks.append(
            f'<path d="M{self.x.start} {self.y.start}L{self.x.end} {self.y.end}" '
            'stroke="currentColor" stroke-opacity="0.4" stroke-dasharray="2 3"/>'
        )

    def svg(self, *, y_ticks: bool = True, x_ticks: Sequence[float] | None = None) -> str:
        """The whole drawing."""
        parts = [
            text(LEFT, 14, self.title, weight="600"),
            text((LEFT + RIGHT) / 2, HEIGHT - 6, self.x_label, anchor="middle", faint=True),
            f'<path d="M{LEFT} {BOTTOM}H{RIGHT}" stroke="currentColor" stroke-opacity="0.5"/>',
        ]
        for tick, words in named_ticks(self.y.ticks() if y_ticks else []):
            at = self.y(tick)
            parts.append(
                f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="currentColor" stroke-opacity="0.13"/>'
            )
            parts.append(text(LEFT - 5, at + 3.5, words, anchor="end", faint=True))
        for tick, words in named_ticks(self.x.ticks() if x_ticks is None else x_ticks):
            at = self.x(tick)
            parts.append(
                f'<path d="M{at:.1f} {BOTTOM}v4" stroke="currentColor" stroke-opacity="0.5"/>'
            )
            parts.append(text(at, BOTTOM + 16, words, anchor="middle", faint=True))
        parts += self.marks
        for at, (_, name, index) in zip(
            _apart([end[0] for end in self._ends]), self._ends, strict=True
        ):
            parts.append(
                text(RIGHT + 5, at + 3.5, shortened(name, 12), fill=colour(index), weight="600")
            )
        return drawing(WIDTH, HEIGHT, parts)

    def _path(self, points: Sequence[Point]) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)


def drawing(width: float, height: float, parts: Iterable[str]) -> str:
    """An SVG of this size that may be scaled."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="system-ui, sans-serif" '
        f'font-size="11">{"".join(parts)}</svg>'
    )


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    fill: str = "currentColor",
    weight: str = "400",
    faint: bool = False,
) -> str:
    """Words at a place, escaped."""
    printable = "".join(each if each.isprintable() else " " for each in words)
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
        f"{' fill-opacity=' + chr(34) + '0.75' + chr(34) if faint else ''}>"
        f"{html.escape(printable)}</text>"
    )


def shortened(words: str, most: int) -> str:
    """Words, cut off with an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "…"


def _apart(places: Sequence[float], gap: float = 12.0) -> list[float]:
    """Places moved as little as keeps labels from overlapping, inside the panel."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, after in itertools.pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    lowest = BOTTOM + 4.0
    for index in reversed(order):
        moved[index] = min(moved[index], lowest)
        lowest = moved[index] - gap
    return moved


def named_ticks(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with as many digits as tell neighbours apart, at least three."""
    digits = 3
    while len({f"{tick:.{digits}g}" for tick in ticks}) < len(ticks):
        digits += 1
    return [(tick, f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:.{digits}g}") for tick in ticks]
