"""Axes, labels and tiles, against arithmetic."""

import math
import re
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
from matplotlib import colormaps

from tests.tracking.report.conftest import HOSTILE
from tracking.report.charts import BOTTOM, LEFT, RIGHT, TOP, Axis, Panel, named_ticks, spanning
from tracking.report.heat import heat_map


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0, 1, False), (0.52, 0.97, False), (-3, 7, False), (1, 4000, True), (2, 3, True),
     (1e-4, 2e3, True), (61.0, 61.001, False)],
)  # fmt: skip
def test_ticks_are_round_few_and_inside(low, high, log):
    ticks = Axis(low, high, 0, 100, log).ticks()
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert ticks == sorted(set(ticks))
    names = [name for _, name in named_ticks(ticks)]
    assert len(set(names)) == len(ticks)
    if (low, high) != (2, 3):  # nothing is round in there on a logarithmic scale
        assert [float(name.replace(",", "")) for name in names] == pytest.approx(ticks)
    assert max(map(len, names)) <= 7


def test_places_are_linear_or_logarithmic():
    assert Axis(10, 20, 0, 200)(12.5) == pytest.approx(50)
    assert Axis(1, 1000, 300, 0, log=True)(10) == pytest.approx(200)
    assert Axis(5, 5, 0, 100)(5) == 50


def test_an_axis_spans_its_values_and_one_value_alone():
    axis = spanning([3.0, 9.0], 0, 100)
    assert axis.low < 3 < 9 < axis.high
    one = spanning([0.0], 0, 100)
    assert one.low < 0 < one.high
    assert math.isfinite(spanning([7.0], 0, 10, log=True)(7.0))


def test_lines_lie_where_their_values_are():
    panel = Panel("title", Axis(0, 10, LEFT, RIGHT), Axis(0, 1, BOTTOM, TOP), "x")
    panel.line([(0, 0), (5, 0.5), (10, 1)], 0, "arm")
    path = re.search(r'd="(M[^"]*)" fill="none" stroke="var\(--c0', panel.svg()).group(1)
    points = [tuple(map(float, each.split())) for each in re.split("[ML]", path)[1:]]
    assert points == [(LEFT, BOTTOM), ((LEFT + RIGHT) / 2, (BOTTOM + TOP) / 2), (RIGHT, TOP)]


def test_names_at_the_ends_of_lines_do_not_overlap():
    panel = Panel("title", Axis(0, 1, LEFT, RIGHT), Axis(0, 1, BOTTOM, TOP), "x")
    for index in range(12):
        panel.line([(0, 0.1), (1, 0.1 + 0.001 * index)], index, f"arm{index}")
    places = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>arm', panel.svg())]
    assert len(places) == 12
    assert min(np.diff(sorted(places))) >= 11.9
    assert max(places) <= BOTTOM + 10


def test_drawings_are_well_formed_whatever_they_are_called():
    panel = Panel(HOSTILE + "\x00\x1b", Axis(0, 1, LEFT, RIGHT), Axis(0, 1, BOTTOM, TOP), HOSTILE)
    panel.line([(0, 0), (1, 1)], 0, HOSTILE)
    root = fromstring(panel.svg())
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    tile = heat_map(HOSTILE, {(0, 0): 0.5}, (HOSTILE, [HOSTILE]), (HOSTILE, ["b"]), (0.5, 0.5))
    assert fromstring(tile).tag.endswith("svg")


def test_tiles_have_the_colours_of_cividis():
    cells = {(0, column): share for column, share in enumerate(np.linspace(0, 1, 7))}
    drawn = heat_map("", cells, ("p", ["0"]), ("batch", list("abcdefg")), (0.0, 1.0))
    found = re.findall(r'<rect [^>]*fill="#(\w{6})"', drawn)
    for share, colour in zip(cells.values(), found, strict=True):
        ours = [int(colour[at : at + 2], 16) for at in (0, 2, 4)]
        theirs = 255 * np.array(colormaps["cividis"](share)[:3])
        assert ours == pytest.approx(theirs, abs=12)
    wanted = ["0.0", "16.7", "33.3", "50.0", "66.7", "83.3", "100.0"]
    assert re.findall(r">(\d+\.\d)<", drawn) == wanted
