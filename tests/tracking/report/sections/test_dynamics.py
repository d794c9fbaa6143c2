"""Curves over epochs: means of an arm's trials, as panels and as numbers."""

import pytest

from tests.tracking.report.made import GRID, results, tables_of
from tracking.report.blocks import Pictures
from tracking.report.sections.dynamics import dynamics, mean_line

ABOUT = {"rows": ["method", "norm"], "lead": ["dynamics"]}


def panels(found):
    blocks = [block for block in dynamics(found).blocks if isinstance(block, Pictures)]
    return {block.caption.split(" over epochs")[0]: block for block in blocks}


def test_numbers_by_epoch_are_means_over_the_trials_of_an_arm():
    tables = tables_of(dynamics(results(GRID, ABOUT, budget=8)))
    auroc = tables["AUROC in %, by epoch"]
    assert auroc[0] == ["arm", "n", "1", "8"]
    assert auroc[1:] == [
        ["simsiam none", "4", "55.0", "75.0"],
        ["simsiam both", "4", "67.5", "87.5"],
    ]
    assert tables["kappa of training embeddings, by epoch"][1] == ["simsiam none", "4", "10", "80"]
    assert tables["loss, by epoch"][2] == ["simsiam both", "4", "-0.875", "-0.875"]


def test_numbers_are_shown_only_where_the_study_is_about_them():
    found = results(GRID, ABOUT | {"lead": ["tables"]})
    assert not [name for name in tables_of(dynamics(found)) if "by epoch" in name]
    assert panels(found)


def test_panels_hold_the_same_means_and_a_thin_line_a_trial():
    found = panels(results(GRID, ABOUT))
    assert list(found) == [
        "AUROC in %", "kappa of training embeddings", "squared MMD to uniform",
        "alignment of views", "loss",
    ]  # fmt: skip
    first, second = found["AUROC in %"].pictures[0].panel.lines
    assert first.name == "simsiam none"
    assert first.points == [(1, pytest.approx(55)), (8, pytest.approx(75))]
    assert [line[-1][1] for line in second.faint] == pytest.approx([90, 90, 95, 75])


def test_what_nobody_measured_has_no_panel():
    assert not [name for name in panels(results(GRID, ABOUT)) if "probe" in name]


def test_a_mean_needs_half_of_the_lines():
    lines = [
        [(1, 1.0), (2, 2.0), (3, 9.0)], [(1, 3.0), (2, 4.0), (3, 9.0)], [(1, 5.0), (2, 6.0)],
        [(1, 7.0)], [(1, 9.0)], [(1, 11.0)],
    ]  # fmt: skip
    assert mean_line(lines) == [(1, 6.0), (2, 4.0)]
