"""What panels are drawn on: places in pixels, words that fit, axes with round ticks.

Everything has a fixed place, since a layout that Matplotlib solves costs a second a figure.
"""

import itertools
import warnings
from collections.abc import Sequence
from functools import lru_cache

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from tracking.report.panels import Range
from tracking.report.render.ticks import named, ticks
from tracking.report.render.words import one_line, shortened

INK = "#1d2125"
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6f7378", "#8c564b",
)  # fmt: skip
"""Okabe and Ito's, told apart by the colour-blind; grey for their yellow, and a brown."""

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360.0, 236.0, 44.0, 28.0, 198.0
ROOM = 150.0  # names at the right are cut off to it
_SIZE, _LINE, _HIGHEST = 10.0, 13.0, 12.0  # of a name: size, distance of two, place of the first

warnings.filterwarnings("ignore", "Glyph .* missing")  # of a PNG alone; a browser has the letters
mpl.rcParams.update({"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "nsa"})

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Canvas:
    """A panel's place on a figure; pixels count from its upper left corner."""

    def __init__(self, figure: Figure, left: float = 0.0, top: float = 0.0) -> None:
        self.figure, self._left, self._top = figure, left, top
        self._width, self._height = (72 * float(side) for side in figure.get_size_inches())

    def axes(self, box: Box, x: Range, y: Range) -> Axes:
        """Axes that cover the box, with no frame but the line below."""
        left, top, right, bottom = box
        place = (
            (self._left + left) / self._width,
            1 - (self._top + bottom) / self._height,
            (right - left) / self._width,
            (bottom - top) / self._height,
        )
        axes = self.figure.add_axes(place, xlim=x, ylim=y)
        axes.patch.set_visible(False)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set(color=INK, alpha=0.5)
        return axes

    def scaled(
        self,
        box: Box,
        x: Range,
        y: Range,
        log: tuple[bool, bool] = (False, False),
        x_ticks: Sequence[float] | None = None,
        *,
        y_ticks: bool = True,
    ) -> Axes:
        """Axes with ticks, round ones unless given, and faint lines across."""
        axes = self.axes(box, x, y)
        axes.set(xscale="log" if log[0] else "linear", yscale="log" if log[1] else "linear")
        for axis, span, is_log, given in (
            (axes.xaxis, x, log[0], x_ticks),
            (axes.yaxis, y, log[1], None if y_ticks else ()),
        ):
            places = ticks(span, log=is_log) if given is None else list(given)
            axis.set_ticks(places, labels=named(places))
            axis.set_ticks([], minor=True)
        axes.tick_params(labelsize=_SIZE, labelcolor=(INK, 0.75), color=(INK, 0.5), length=3)
        axes.tick_params("y", length=0)
        axes.grid(axis="y", color=INK, alpha=0.13, linewidth=1)
        axes.set_axisbelow(True)
        axes.set(xlim=x, ylim=y)
        return axes

    def text(self, x: float, y: float, words: str, *, align: str = "left", faint: bool = False,
             colour: str = INK, weight: str = "normal", size: float = _SIZE) -> None:  # fmt: skip
        """Words on this base line."""
        self.figure.text(
            (self._left + x) / self._width,
            1 - (self._top + y) / self._height,
            one_line(words),
            ha=align,
            va="baseline",
            fontsize=size,
            color=colour,
            weight=weight,
            alpha=0.75 if faint else None,
        )

    def title(self, words: str, width: float) -> None:
        """Above the panel."""
        self.text(2, 14, fitted(words, width - 4, 11.5), weight="bold", size=11.5)

    def below(self, box: Box, words: str) -> None:
        """The name of the horizontal axis."""
        words = fitted(words, box[2] - box[0], weight="normal")
        self.text((box[0] + box[2]) / 2, box[3] + 32, words, align="center", faint=True)

    def names(self, box: Box, names: Sequence[tuple[str, str]], heights: Sequence[float]) -> None:
        """Names at the right of the box, each in its colour and near its height."""
        for (name, colour), at in zip(names, apart(heights, box[3] + 2), strict=True):
            words = fitted(name, ROOM)
            self.text(box[2] + 7, at + 3.5, words, colour=colour, weight="bold")


def plot_box(
    names: Sequence[str], y: Range | None = None, *, log: bool = False, width: float = WIDTH
) -> Box:
    """Where a plot is in a panel of this width, with names at its right and ticks at its left."""
    labels = named(ticks(y, log=log)) if y else []
    left = max([LEFT, *(text_width(label, weight="normal") + 8 for label in labels)])
    return left, TOP, width - names_width(names), BOTTOM


def names_width(names: Sequence[str]) -> float:
    """What names need at the right of a plot."""
    return max([24.0, *(min(text_width(name), ROOM) + 10 for name in names if name)])


def text_width(words: str, size: float = _SIZE, weight: str = "bold") -> float:
    """In pixels, in the font of a PNG; browsers' own fonts are narrower."""
    return _width(one_line(words), size, weight)


def fitted(words: str, width: float, size: float = _SIZE, weight: str = "bold") -> str:
    """Words, cut off so that they are no wider than this."""
    words = one_line(words)
    most = len(words)
    while most > 1 and text_width(shortened(words, most), size, weight) > width:
        most -= 1
    return shortened(words, most)


def apart(places: Sequence[float], lowest: float) -> list[float]:
    """Places moved as little as keeps names from overlapping, none below the lowest."""
    gap = min(_LINE, (lowest - _HIGHEST) / max(len(places) - 1, 1))
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, after in itertools.pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    for index in reversed(order):
        moved[index] = min(moved[index], lowest)
        lowest = moved[index] - gap
    return moved


@lru_cache(maxsize=4096)
def _width(words: str, size: float, weight: str) -> float:
    font = FontProperties(size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(words, font, ismath=False)[0])
