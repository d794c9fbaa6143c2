"""Plots with two axes: lines, histograms, dots."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from tracking.report.panels import Curves, Dots, Histogram, Point, roomy
from tracking.report.render.canvas import COLOURS, INK, Box, Canvas, plot_box

_DASHES = ("-", (0, (5, 2)), (0, (2, 2)), (0, (7, 2, 2, 2)))


def draw_curves(panel: Curves, canvas: Canvas) -> None:
    """Thin lines, thick ones over them, whiskers; names at the ends."""
    box = plot_box([line.name for line in panel.lines], panel.y_range, log=panel.log[1])
    axes = canvas.scaled(box, panel.x_range, panel.y_range, panel.log, panel.x_ticks)
    canvas.below(box, panel.x_label)
    if panel.chance:
        axes.plot(panel.x_range, panel.y_range, color=INK, alpha=0.4, linewidth=1, ls=(0, (2, 3)))
    for line in panel.lines:
        faint = [point for each in line.faint for point in (*each, (np.nan, np.nan))]
        if faint:
            colour, dashes = colour_of(line.place), _dashes(line.place)
            axes.plot(*np.transpose(faint), color=colour, alpha=0.28, linewidth=0.8, ls=dashes)
    for line, pixels in zip(panel.lines, _aside(len(panel.lines)), strict=True):
        moved = ScaledTranslation(
            pixels / 72 if line.bounds else 0.0, 0.0, canvas.figure.dpi_scale_trans
        )
        how: dict[str, Any] = {
            "color": colour_of(line.place),
            "clip_on": False,
            "transform": axes.transData + moved,
        }
        x, y = np.transpose(line.points)
        axes.plot(x, y, linewidth=2.2, ls=_dashes(line.place), **how)
        if line.bounds or len(x) == 1:
            axes.plot(x, y, "o", markersize=5.5, markeredgewidth=0, **how)
        for middle, bounds in zip(x, line.bounds, strict=False):
            axes.plot([middle, middle], bounds, linewidth=1.2, **how)
    heights = [_pixel(axes, line.points[-1], box) for line in panel.lines]
    canvas.names(box, [(line.name, colour_of(line.place)) for line in panel.lines], heights)


def draw_histogram(panel: Histogram, canvas: Canvas) -> None:
    """Filled steps, one group over the other, and lines where there are marks."""
    box = plot_box([*panel.heights, *panel.marks])
    highest = max(max(heights) for heights in panel.heights.values())
    x = panel.edges[0], panel.edges[-1]
    axes = canvas.scaled(box, x, (0.0, highest), y_ticks=False)
    canvas.below(box, panel.x_label)
    for place, heights in enumerate(panel.heights.values()):
        colour = colour_of(place)
        axes.stairs(heights, panel.edges, fill=True, color=colour, alpha=0.4)
        axes.stairs(heights, panel.edges, color=colour, linewidth=1)
    for mark in panel.marks.values():
        axes.axvline(mark, color=INK, linewidth=1.4, ls=(0, (4, 2)))
    names = [(name, colour_of(place)) for place, name in enumerate(panel.heights)]
    names += [(name, INK) for name in panel.marks]
    canvas.names(box, names, [box[1] + 20] * len(names))


def draw_dots(panel: Dots, canvas: Canvas) -> None:
    """Dots that shine through where they overlap."""
    x, y = np.transpose(panel.points)
    box = plot_box([], roomy(y))
    axes = canvas.scaled(box, roomy(x), roomy(y))
    canvas.below(box, panel.x_label)
    axes.plot(x, y, "o", color=COLOURS[0], markersize=5, alpha=0.7, markeredgewidth=0)


def colour_of(place: int) -> str:
    """The colour of a line."""
    return COLOURS[place % len(COLOURS)]


def _dashes(place: int) -> Any:
    """They tell the ninth line from the first."""
    return _DASHES[place // len(COLOURS) % len(_DASHES)]


def _aside(count: int) -> NDArray[np.float64]:
    """How far lines with whiskers are moved, so that these do not hide each other."""
    reach = min(1.5 * (count - 1), 6.0)
    return np.linspace(-reach, reach, count)


def _pixel(axes: Axes, point: Point, box: Box) -> float:
    """The height of a point."""
    share = axes.transLimits.transform(axes.transScale.transform(point))[1]
    return box[3] - float(share) * (box[3] - box[1])
