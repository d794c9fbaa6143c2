"""Panels as SVG for a page, as one PNG, and the pictures of a trial that MLflow keeps."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_curve

from tracking.files.place import StorePath
from tracking.report.mistakes import Mistake, open_png
from tracking.report.panels import Curves, Histogram, Line, Panel
from tracking.report.render.canvas import COLOURS, INK, Canvas, fitted, text_width
from tracking.report.render.draw import draw, size

_KEPT = ("d", "x", "y", "width", "height", "transform", "style")
_NUMBER = re.compile(r"-?\d+\.\d+")
_COLOUR = re.compile("|".join((INK, *COLOURS)))
_BINS = 40
_ACROSS, _GAP, _MARGIN = 1130.0, 18.0, 14.0  # of a sheet, in pixels
_ZOOM, _GUTTER, _LARGEST_TILE = 3, 6, 288  # of the images of mistakes; the last two in pixels


def svg(panel: Panel) -> str:
    """One panel: plain shapes and text in its own colours, the same for the same panel."""
    width, height = size(panel)
    figure = Figure(figsize=(width / 72, height / 72))
    figure.patch.set_visible(False)
    draw(panel, Canvas(figure))
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = fromstring(buffer.getvalue())
    named = {each.get("id"): each for each in root.iter() if each.get("id")}
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="system-ui, sans-serif" '
        'stroke-linejoin="round">'
        f"{''.join(_shapes(root, named))}</svg>"
    )


def inlined(drawing: str) -> str:
    """The drawing for the page: it takes the page's ink and its colours for lines."""
    return _COLOUR.sub(
        lambda found: (
            "currentColor" if found[0] == INK else f"var(--c{COLOURS.index(found[0])}, {found[0]})"
        ),
        drawing,
    )


def sheet(panels: Sequence[Panel], title: str) -> bytes:
    """A PNG of the panels in lines, as on a page."""
    places, across, down = [], 0.0, 34.0
    line_height, width = 0.0, 0.0
    for panel in panels:
        own = size(panel)
        if across and across + own[0] > _ACROSS:
            across, down, line_height = 0.0, down + line_height + _GAP, 0.0
        places.append((_MARGIN + across, down))
        across, line_height = across + own[0] + _GAP, max(line_height, own[1])
        width = max(width, across - _GAP)
    width = max(width, min(text_width(title, 12.5) + 4, _ACROSS))
    whole = width + 2 * _MARGIN, down + line_height + _MARGIN
    figure = Figure(figsize=(whole[0] / 72, whole[1] / 72))
    words = fitted(title, width, 12.5, "bold")
    Canvas(figure).text(_MARGIN + 2, 20, words, weight="bold", size=12.5)
    for panel, place in zip(panels, places, strict=True):
        draw(panel, Canvas(figure, *place))
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def histogram(scores: NDArray[np.float64], outlier: NDArray[np.bool_], scorer: str) -> Histogram:
    """Scores of normal test images and of outliers; the outermost bins hold what lies beyond."""
    low, high = np.quantile(scores, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    inside = np.clip(scores, edges[0], edges[-1])
    heights = {
        name: np.histogram(inside[outlier == flag], edges, density=True)[0].tolist()
        for name, flag in (("normal", False), ("outliers", True))
    }
    return Histogram("Scores of test images, density", scorer, edges.tolist(), heights)


def roc(scores: Mapping[str, NDArray[np.float64]], outlier: NDArray[np.bool_]) -> Curves:
    """ROC curves in % by their name; points that a picture cannot show are left out."""
    lines = []
    for place, (name, values) in enumerate(scores.items()):
        alarms, hits, _ = roc_curve(outlier, values)
        steps = np.searchsorted(alarms + hits, np.linspace(0, 2, 200))
        kept = np.unique(steps.clip(0, len(hits) - 1))
        points = np.column_stack([100 * alarms[kept], 100 * hits[kept]]).tolist()
        lines.append(Line(name, points, place))
    whole = 0.0, 100.0
    title, x_label = "ROC: outliers found, in %", "false alarms in %"
    return Curves(title, x_label, lines, whole, whole, chance=True)


def score_picture(
    test_scores: pa.Table, aurocs: Mapping[str, float], title: str, headline: str = "c-cos"
) -> bytes:
    """A PNG: ROC curves of every scorer, and the score histogram of the headline's.

    ``test_scores`` has a column ``is_outlier`` and one a scorer; ``aurocs`` in [0, 1] by scorer,
    the first of which stands in for a headline that is not among them.
    """
    outlier = test_scores["is_outlier"].to_numpy(zero_copy_only=False).astype(bool)
    shown = headline if headline in aurocs else next(iter(aurocs))
    curves = {f"{name} {100 * value:.1f}": test_scores[name].to_numpy()
              for name, value in aurocs.items()}  # fmt: skip
    bars = histogram(test_scores[shown].to_numpy().astype(np.float64), outlier, shown)
    return sheet([roc(curves, outlier), bars], title)


def extremes_picture(found: Mapping[str, Sequence[Mistake]], path: StorePath) -> bytes:
    """A PNG of a trial's mistakes, read from ``path``: a line a kind, worst first."""
    lines = [[_tile(open_png(each.image, path)) for each in line] for line in found.values()]
    tiles = [tile for line in lines for tile in line]
    width, height = (max(tile.size[side] for tile in tiles) + _GUTTER for side in (0, 1))
    whole = max(map(len, lines)) * width + _GUTTER, len(lines) * height + _GUTTER
    paper = Image.new("RGB", whole, "white")
    for down, line in enumerate(lines):
        for across, tile in enumerate(line):
            paper.paste(tile, (_GUTTER + across * width, _GUTTER + down * height))
    buffer = io.BytesIO()
    paper.save(buffer, format="PNG")
    return buffer.getvalue()


def _tile(image: Image.Image) -> Image.Image:
    """Small images larger, pixel for pixel; large ones as small as a page shows them."""
    factor = min(_ZOOM, _LARGEST_TILE / max(image.size))
    wanted = tuple(max(1, round(factor * side)) for side in image.size)
    how = Image.Resampling.NEAREST if factor == _ZOOM else Image.Resampling.BOX
    return image.resize((wanted[0], wanted[1]), how)


def _shapes(parent: Element, named: Mapping[str | None, Element]) -> Iterable[str]:
    """Paths, rectangles and texts below an element, what is defined elsewhere put in its place."""
    for each in parent:
        kind = each.tag.rpartition("}")[2]
        if kind == "use":
            link = next(value for key, value in each.attrib.items() if key.endswith("href"))
            at = f"translate({each.get('x', '0')} {each.get('y', '0')})"
            attributes = {"transform": at, "style": each.get("style", "")}
            yield _element("path", named[link[1:]], attributes)
        elif kind in ("path", "rect", "text"):
            yield _element(kind, each, {})
        elif kind not in ("defs", "metadata"):
            yield from _shapes(each, named)


def _element(kind: str, each: Element, other: dict[str, str]) -> str:
    attributes = {name: each.get(name, "") for name in _KEPT} | other
    parts = [kind]
    for name, value in attributes.items():
        value = " ".join(value.split())
        if name == "style":  # the fonts of a reader, not Matplotlib's
            value = re.sub(r" *font-family:[^;]*;?", "", value).strip()
        if value.startswith("rotate(-0 "):
            continue
        if value:
            parts.append(f"{name}={quoteattr(_rounded(value, 1 if name == 'd' else 2))}")
    inner = escape("".join(each.itertext())) if kind == "text" else ""
    return f"<{' '.join(parts)}>{inner}</{kind}>" if inner else f"<{' '.join(parts)}/>"


def _rounded(value: str, digits: int) -> str:
    """Numbers of a pixel's parts say no more."""
    return _NUMBER.sub(lambda found: f"{round(float(found[0]), digits):g}", value)
