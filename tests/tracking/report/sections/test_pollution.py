"""What pollution costs: slopes, their differences and the worst class, by hand."""

import pytest

from tests.tracking.report.made import GRID, tables_of, trial
from tracking.report.blocks import Pictures
from tracking.report.panels import Curves, HeatMap
from tracking.report.results import Results
from tracking.report.sections.pollution import pollution
from tracking.report.statistics import interval

ABOUT = {"rows": ["norm"], "columns": "pollution", "headline": "c-cos"}


def polluted(batches=(16,), gain: float = 0.0, **about) -> Results:
    """Class 0 loses 5 points for every tenth of outliers, class 1 twice that; "both" less."""
    found = []
    for p in (0.0, 0.1):
        for (norm, batch, label), value in GRID.items():
            if batch in batches:
                lost = 0.5 * p * (1 + label) - gain * 10 * p * (norm == "both")
                found.append(trial(len(found), value - lost, norm=norm, batch_size=batch,
                                   normal_class=label, pollution=p))  # fmt: skip
    return Results("made", ABOUT | about, found)


def test_it_costs_the_slope_that_least_squares_finds():
    found = tables_of(pollution(polluted()))["What 10 % of pollution costs"]
    assert found[0] == ["arm", "points for 10 %", "n", "worst class, p = 0", "worst class, p = 0.1"]
    assert found[1] == [
        "norm none", ("−7.5", ""), "2", ("70.0", "class class 1"), ("60.0", "class class 1"),
    ]  # fmt: skip


@pytest.mark.parametrize(("gain", "said"), [(0.0, "0.0"), (0.03, "+3.0")])
def test_the_compared_field_changes_the_slope_by_the_difference_of_pairs(gain, said):
    tables = tables_of(pollution(polluted(gain=gain)))
    name = next(each for each in tables if each.startswith("What norm changes in that slope"))
    assert tables[name] == [
        ["norm", "setting", "points for 10 %", "n"],
        ["both − none", "all trials", (said, ""), "2"],
    ]


def test_no_difference_is_shown_where_the_compared_field_is_no_arm():
    tables = tables_of(pollution(polluted(compare="method")))
    assert not [each for each in tables if "changes in that slope" in each]


def test_pictures_hold_means_and_one_scale():
    section = pollution(polluted(batches=(16, 64)))
    first, heat = (block for block in section.blocks if isinstance(block, Pictures))
    (curves,) = (picture.panel for picture in first.pictures)
    assert isinstance(curves, Curves)
    assert list(curves.x_ticks) == [0, 10]
    assert [point for line in curves.lines for point in line.points] == [
        (0, pytest.approx(75)), (10, pytest.approx(67.5)),
        (0, pytest.approx(87.5)), (10, pytest.approx(80)),
    ]  # fmt: skip
    whiskers = [bounds for line in curves.lines for bounds in line.bounds]
    low, high = interval({0: [0.8, 0.9], 1: [0.7, 0.6]})  # of no norm, clean
    assert whiskers[0] == pytest.approx((100 * low, 100 * high))
    assert len(whiskers) == 4
    maps = [picture.panel for picture in heat.pictures]
    assert all(isinstance(panel, HeatMap) for panel in maps)
    for panel in maps:
        assert panel.span == pytest.approx((0.675, 0.9))
    assert maps[1].values[1, 0] == pytest.approx(0.825)  # norm both, p 0.1, batch 16


def test_it_is_left_out_where_pollution_does_not_vary():
    clean = [each for each in polluted().trials if each.value("pollution") == 0]
    assert pollution(Results("made", ABOUT, clean)) is None


def test_curves_and_their_pairs_are_equal_in_all_else():
    """The budget goes with the norm, so no field of the table tells it apart."""
    budgets = {"none": 40, "both": 80}
    found = [
        trial(n, t.last["embedding", "c-cos"], **{**t.config, "budget": budgets[t.value("norm")]})
        for n, t in enumerate(polluted().trials)
    ]
    section = pollution(Results("made", ABOUT, found))
    assert list(tables_of(section)) == ["What 10 % of pollution costs"]


def test_no_curve_is_drawn_through_trials_of_different_budgets():
    """The budget goes with p, so no field of the table tells it apart."""
    found = [
        trial(n, t.last["embedding", "c-cos"],
              **{**t.config, "budget": 40 if t.value("pollution") else 80})
        for n, t in enumerate(polluted().trials)
    ]  # fmt: skip
    assert tables_of(pollution(Results("made", ABOUT, found))) == {}


def test_trials_that_are_on_no_curve_are_counted():
    alone = trial(99, 0.5, norm="none", batch_size=16, normal_class=2)
    section = pollution(Results("made", ABOUT, [*polluted().trials, alone]))
    captions = [block.caption for block in section.blocks]
    assert any("n curves (1 trial on no curve left out)" in each for each in captions)
