"""Tables as pictures: marks with intervals, and heat maps."""

import matplotlib as mpl
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import FancyBboxPatch

from tracking.report.panels import Cells, HeatMap, roomy
from tracking.report.render.canvas import (
    HEIGHT,
    LEFT,
    ROOM,
    WIDTH,
    Canvas,
    fitted,
    names_width,
    plot_box,
    text_width,
)
from tracking.report.render.plots import colour_of

_TILE, _TILES_TOP = (48.0, 30.0), 42.0  # at least, and so high
_DARK = 0.45  # share of the scale below which white is read better than black


def cells_size(panel: Cells) -> tuple[float, float]:
    """As wide as its columns need."""
    names = _row_names(panel)
    plot = len(panel.columns) * (20.0 + 16.0 * len(names))
    return max(WIDTH, LEFT + plot + names_width(names)), HEIGHT


def draw_cells(panel: Cells, canvas: Canvas) -> None:
    """A bar for a mean, a line for its interval, a dot beside it for each trial."""
    names = _row_names(panel)
    box = plot_box(names, width=cells_size(panel)[0])
    spreads = [spread for column in panel.columns.values() for spread in column.values()]
    low, high = roomy(v for s in spreads for v in (*s.values, s.mean, *(s.bounds or ())))
    axes = canvas.scaled(box, (-0.5, len(panel.columns) - 0.5), (low, min(high, 101)), x_ticks=())
    canvas.below(box, panel.x_label)
    room = (box[2] - box[0]) / len(panel.columns)
    slot = min(0.8 / len(names), 0.25)
    for place, (column, cells) in enumerate(panel.columns.items()):
        words = fitted(column, room, weight="normal")
        canvas.text(box[0] + (place + 0.5) * room, box[3] + 16, words, align="center")
        for row, spread in cells.items():
            index = names.index(row)
            colour = colour_of(index)
            at = place + (index - (len(names) - 1) / 2) * slot
            beside = np.full(len(spread.values), at + 0.3 * slot)
            axes.plot(beside, spread.values, "o", color=colour, alpha=0.45, markersize=4,
                      markeredgewidth=0, clip_on=False)  # fmt: skip
            if spread.bounds:
                axes.plot([at, at], spread.bounds, color=colour, linewidth=1.4, clip_on=False)
            ends = [at - 0.18 * slot, at + 0.18 * slot]
            axes.plot(ends, [spread.mean] * 2, color=colour, linewidth=2.8, clip_on=False)
    looks = [(name, colour_of(index)) for index, name in enumerate(names)]
    canvas.names(box, looks, [box[1] + 14] * len(names))


def heat_size(panel: HeatMap) -> tuple[float, float]:
    """As large as its tiles and names need."""
    left, bottom = _corner(panel)
    return max(240.0, left + _tile(panel)[0] * len(panel.columns[1]) + 8), bottom + 42


def draw_heat(panel: HeatMap, canvas: Canvas) -> None:
    """Tiles with their numbers; cividis, which the colour-blind can read."""
    (width, height), (left, bottom) = _tile(panel), _corner(panel)
    right = left + width * len(panel.columns[1])
    axes = canvas.axes(
        (left, _TILES_TOP, right, bottom), (0, right - left), (bottom - _TILES_TOP, 0)
    )
    axes.set_axis_off()
    low, high = panel.span
    shares = {
        place: (value - low) / (high - low) if high > low else 0.5
        for place, value in panel.values.items()
    }
    tiles = [
        FancyBboxPatch((column * width + 3, row * height + 3), width - 6, height - 6,
                       boxstyle="round,pad=2,rounding_size=2")
        for row, column in shares
    ]  # fmt: skip
    colours = mpl.colormaps["cividis"](np.clip(list(shares.values()), 0, 1))
    axes.add_collection(
        PatchCollection(tiles, facecolors=colours, edgecolors="none", clip_on=False)
    )
    middles = [_TILES_TOP + (index + 0.5) * height + 4 for index in range(len(panel.rows[1]))]
    for (row, column), share in shares.items():
        words = f"{100 * panel.values[row, column]:.1f}"
        colour = "#ffffff" if share < _DARK else "#111111"
        place = left + (column + 0.5) * width
        canvas.text(place, middles[row], words, align="center", colour=colour)
    for middle, name in zip(middles, panel.rows[1], strict=True):
        canvas.text(left - 6, middle, fitted(name, ROOM, weight="normal"), align="right")
    for index, name in enumerate(panel.columns[1]):
        words = fitted(name, width - 2, weight="normal")
        canvas.text(left + (index + 0.5) * width, bottom + 16, words, align="center")
    canvas.text(2, _TILES_TOP - 8, fitted(panel.rows[0], heat_size(panel)[0] - 4), faint=True)
    canvas.below((left, _TILES_TOP, right, bottom + 2), panel.columns[0])


def _row_names(panel: Cells) -> list[str]:
    return list(dict.fromkeys(row for column in panel.columns.values() for row in column))


def _tile(panel: HeatMap) -> tuple[float, float]:
    """Width and height, so that the names of the columns have room."""
    widest = max((text_width(name, weight="normal") for name in panel.columns[1]), default=0.0)
    return max(_TILE[0], min(widest, ROOM / 2) + 8), _TILE[1]


def _corner(panel: HeatMap) -> tuple[float, float]:
    """Where the tiles begin at the left, and end at the bottom."""
    widest = max((text_width(name, weight="normal") for name in panel.rows[1]), default=0.0)
    return min(widest, ROOM) + 14, _TILES_TOP + _TILE[1] * len(panel.rows[1])
