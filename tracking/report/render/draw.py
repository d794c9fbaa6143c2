"""A panel, whatever its kind, on a canvas."""

from tracking.report.panels import Cells, Curves, HeatMap, Histogram, Panel
from tracking.report.render.canvas import HEIGHT, WIDTH, Canvas
from tracking.report.render.grids import cells_size, draw_cells, draw_heat, heat_size
from tracking.report.render.plots import draw_curves, draw_dots, draw_histogram


def size(panel: Panel) -> tuple[float, float]:
    """Width and height in pixels."""
    if isinstance(panel, HeatMap):
        return heat_size(panel)
    return cells_size(panel) if isinstance(panel, Cells) else (WIDTH, HEIGHT)


def draw(panel: Panel, canvas: Canvas) -> None:
    """Draw a panel with its title, axes and names."""
    canvas.title(panel.title, size(panel)[0])
    if isinstance(panel, Curves):
        draw_curves(panel, canvas)
    elif isinstance(panel, Histogram):
        draw_histogram(panel, canvas)
    elif isinstance(panel, Cells):
        draw_cells(panel, canvas)
    elif isinstance(panel, HeatMap):
        draw_heat(panel, canvas)
    else:
        draw_dots(panel, canvas)
