"""Drawings show the values that they are given, fit, and hold no markup of others."""

import io
import re
from xml.etree.ElementTree import fromstring

import numpy as np
import pyarrow as pa
import pytest
from matplotlib import colormaps
from PIL import Image
from sklearn.metrics import roc_auc_score

from tests.tracking.report.conftest import HOSTILE
from tracking.report.panels import Cells, Curves, Dots, HeatMap, Line, Spread
from tracking.report.render.canvas import COLOURS, INK, text_width
from tracking.report.render.pictures import histogram, inlined, roc, score_picture, sheet, svg

STREAM = np.random.default_rng(0)
OUTLIER = np.arange(300) >= 100
SCORES = STREAM.normal(size=300) + 1.5 * OUTLIER


def curves(name: str = "arm", **how) -> Curves:
    line = Line(name, [(0, 0), (5, 0.5), (10, 1)], 0, faint=[[(0, 1), (10, 0)]])
    return Curves("title", "x", [line], (0, 10), (0, 1), **how)


def panels(name: str) -> list:
    spread = Spread([80, 90], 85.0, (75.0, 95.0))
    return [
        curves(name),
        Curves(name, name, [Line(name, [(1, 2e6)], 9, bounds=[(1e6, 3e6)])], (1, 2), (1e6, 3e6)),
        Cells(name, name, {name: {name: spread, "b": spread}, "long " * 20: {"b": spread}}),
        HeatMap(name, (name, [name, "b"]), (name, ["c", name]), {(0, 0): 0.5, (1, 1): 0.9}, (0, 1)),
        Dots(name, name, [(1, 60), (6e5, 90)]),
        histogram(SCORES, OUTLIER, name),
        roc({name: SCORES, **{str(n): SCORES for n in range(10)}}, OUTLIER),
    ]


def texts(drawing: str) -> list[tuple[float, float, float, str]]:
    """Left, right, base line and words of every text."""
    found = []
    for each in fromstring(drawing).iter("{http://www.w3.org/2000/svg}text"):
        style = dict(part.split(": ") for part in each.get("style").split("; "))
        size = float(style.get("font-size", style.get("font", "")).split("px")[0].split()[-1])
        weight = "bold" if "bold" in each.get("style") or "700" in each.get("style") else "normal"
        width, x = text_width(each.text, size, weight), float(each.get("x"))
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[style.get("text-anchor", "start")]
        found.append((left, left + width, float(each.get("y")), each.text))
    return found


def test_lines_lie_where_their_values_are():
    drawing = svg(curves())
    path = re.search(rf'd="(M[^"]*)" style="fill: none; stroke: {COLOURS[0]}; [^"]*2.2', drawing)
    points = [tuple(map(float, each.split())) for each in re.split("[ML]", path.group(1))[1:]]
    (left, bottom), middle, (right, top) = points
    assert (left, bottom, top) == (44, 198, 28)
    assert middle == pytest.approx(((left + right) / 2, (bottom + top) / 2), abs=0.1)
    assert 360 - right >= text_width("arm") + 7


def test_a_logarithmic_axis_is_one():
    drawing = svg(Curves("t", "x", [Line("", [(1, 1), (10, 10), (1000, 100)], 0)],
                         (1, 1000), (1, 100), log=(True, True)))  # fmt: skip
    path = re.search(rf'd="(M[^"]*)" style="fill: none; stroke: {COLOURS[0]}', drawing).group(1)
    (x0, y0), (x1, y1), (x2, y2) = (
        tuple(map(float, each.split())) for each in re.split("[ML]", path)[1:]
    )
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 3, abs=2e-3)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(1 / 2, abs=2e-3)


@pytest.mark.parametrize("name", ["simsiam both", HOSTILE + "\x00\x1b", "$x^2$ \\frac{", "w" * 90])
def test_all_words_are_text_inside_the_picture(name):
    for panel in panels(name):
        drawing = svg(panel)
        root = fromstring(drawing)
        tags = {each.tag.rpartition("}")[2] for each in root.iter()}
        assert tags <= {"svg", "path", "rect", "text"}
        assert {key for each in root.iter() for key in each.attrib} <= {
            "viewBox", "width", "height", "font-family", "stroke-linejoin", "d", "x", "y",
            "transform", "style",
        }  # fmt: skip
        width, height = (float(root.get(side)) for side in ("width", "height"))
        for left, right, base, words in texts(drawing):
            assert -0.5 <= left < right <= width + 0.5, words
            assert 8 <= base <= height, words


def test_names_are_not_cut_off():
    assert "simsiam both" in [words for *_, words in texts(svg(curves("simsiam both")))]


def test_the_same_panel_is_the_same_drawing():
    for first, second in zip(panels("a"), panels("a"), strict=True):
        assert svg(first) == svg(second)
    assert svg(curves("a")) != svg(curves("b"))
    assert sheet(panels("a"), "t") == sheet(panels("a"), "t")


def test_on_a_page_ink_and_colours_are_the_pages():
    page = inlined(svg(curves()))
    assert INK not in page
    assert f"stroke: var(--c0, {COLOURS[0]})" in page
    assert "fill: currentColor" in page
    assert "var(" not in svg(curves())


def test_tiles_have_the_colours_of_cividis_and_their_numbers():
    shares = np.linspace(0, 1, 7)
    values = {(0, column): share for column, share in enumerate(shares)}
    drawing = svg(HeatMap("", ("p", ["0"]), ("batch", list("abcdefg")), values, (0.0, 1.0)))
    found = re.findall(r'<path d="[^"]*Z?" style="fill: #(\w{6})"', drawing)
    for share, colour in zip(shares, found, strict=True):
        ours = [int(colour[at : at + 2], 16) for at in (0, 2, 4)]
        assert ours == pytest.approx(255 * np.array(colormaps["cividis"](share)[:3]), abs=1.1)
    wanted = ["0.0", "16.7", "33.3", "50.0", "66.7", "83.3", "100.0"]
    assert [words for *_, words in texts(drawing) if "." in words] == wanted


def test_no_tile_is_taken_for_ink_or_a_line():
    tiles = {"#" + "".join(f"{round(255 * part):02x}" for part in colormaps["cividis"](n)[:3])
             for n in range(256)}  # fmt: skip
    assert not tiles & {INK, *COLOURS, "#ffffff", "#111111"}


def test_roc_and_histogram_are_of_the_scores():
    (line,) = roc({"x": SCORES}, OUTLIER).lines
    x, y = np.transpose(line.points) / 100
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(OUTLIER, SCORES), abs=0.005)
    found = histogram(SCORES, OUTLIER, "x")
    widths = np.diff(found.edges)
    for heights in found.heights.values():
        assert (heights * widths).sum() == pytest.approx(1)
    counts = np.array(found.heights["outliers"]) * widths * 200
    assert counts == pytest.approx(np.round(counts))


def image(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as found:
        return np.asarray(found.convert("RGB"))


def test_mlflows_picture_of_a_trial_shows_its_scores():
    def drawn(scores) -> np.ndarray:
        table = pa.table({"is_outlier": OUTLIER, "c-cos": scores, "k-cos": SCORES})
        return image(score_picture(table, {"c-cos": 0.9, "k-cos": 0.8}, "simsiam both"))

    first = drawn(SCORES)
    assert np.array_equal(first, drawn(SCORES))
    assert not np.array_equal(first, drawn(-SCORES))
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 100


def test_a_sheet_has_every_panel_and_is_no_wider_than_a_page():
    one, many = image(sheet(panels("a")[:1], "t")), image(sheet(panels("a") * 2, "t"))
    assert many.shape[0] > 3 * one.shape[0]
    assert one.shape[1] < many.shape[1] < 1800
    for data in (one, many):
        assert (data[-10:] == 255).all()
        assert (data[:, -10:] == 255).all()
