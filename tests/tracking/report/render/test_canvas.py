"""Words fit where they stand, names do not overlap."""

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from tests.tracking.report.conftest import HOSTILE
from tracking.report.render.canvas import apart, fitted, plot_box, text_width


@pytest.mark.parametrize("count", [2, 8, 12, 16])
def test_names_at_the_ends_of_lines_do_not_overlap(count):
    places = apart([100 + 0.1 * index for index in range(count)], 200.0)
    assert min(np.diff(sorted(places))) >= min(13.0, 188 / (count - 1)) - 1e-9
    assert max(places) <= 200
    assert min(places) >= 12 - 1e-9


def test_names_that_are_apart_stay_where_they_are():
    assert apart([50.0, 150.0, 100.0], 200.0) == [50.0, 150.0, 100.0]


def test_widths_are_those_of_the_drawn_letters():
    font = FontProperties(size=10, weight="bold")
    letters = TextPath((0, 0), "simsiam both", prop=font).get_extents().width
    assert text_width("simsiam both") == pytest.approx(letters, abs=2)


def test_words_are_whole_where_they_fit_and_cut_off_where_not():
    assert fitted("simsiam both", 90) == "simsiam both"
    cut = fitted(HOSTILE, 80)
    assert cut.endswith("…")
    assert text_width(cut) <= 80
    assert HOSTILE.startswith(cut[:-1])


def test_long_names_and_long_ticks_get_room():
    short, long = plot_box(["f"]), plot_box(["simsiam both"])
    assert short[2] > long[2]
    assert 360 - long[2] >= text_width("simsiam both") + 7
    left = plot_box([], (600.001, 600.0049))[0]
    assert left >= text_width("600.002", weight="normal") + 5
    assert left > plot_box([], (0.0, 1.0))[0]
