"""The headline table, its paired differences and its picture, against sums done by hand."""

import pytest

from tests.tracking.report.made import GRID, results, tables_of
from tracking.report.blocks import Pictures
from tracking.report.panels import Cells, HeatMap
from tracking.report.sections.norms import contrasts, norms
from tracking.report.sections.tables import tables
from tracking.report.statistics import interval

ABOUT = {"rows": ["norm"], "columns": "batch_size"}


def headline(found) -> list[list]:
    return next(iter(tables_of(tables(found)).values()))


def picture(found):
    (block,) = (each for each in tables(found).blocks if isinstance(each, Pictures))
    return block.pictures[0]


def test_cells_hold_mean_interval_and_the_papers_value():
    seeds = {(n, b, c, s): v + 0.01 * s for (n, b, c), v in GRID.items() for s in (0, 2)}
    paper = [{"where": {"norm": "none", "batch_size": 16}, "scorer": "k-cos", "auroc": 0.5}]
    header, none, both = headline(results(seeds, ABOUT | {"paper": paper}))
    assert header == ["norm", "batch size 16", "batch size 64"]
    low, high = interval({0: [0.8, 0.82], 1: [0.7, 0.72]})
    assert none[1][:2] == ("76.0", f"[{100 * low:.1f}, {100 * high:.1f}] n 4")
    assert none[1][2:] == ("paper (its k-Cos) 50.0, ours 76.0", "higher by 26.0 *")
    assert both[2][0] == "86.0"


def test_every_score_has_its_mean():
    found = tables_of(tables(results(GRID, ABOUT)))["Every score"]
    assert found[0] == ["norm", "batch size", "c-cos", "k-cos"]
    assert found[1:] == [
        ["none", "16", "75.0", "75.0"],
        ["none", "64", "75.0", "75.0"],
        ["both", "16", "90.0", "90.0"],
        ["both", "64", "85.0", "85.0"],
    ]


def test_without_repeats_a_cell_has_no_interval():
    assert headline(results(GRID, ABOUT))[1] == ["none", ("75.0", "n 2"), ("75.0", "n 2")]


def test_differences_are_those_of_pairs_of_the_same_class_and_seed():
    seeds = {(n, b, c, s): v + 0.01 * s for (n, b, c), v in GRID.items() for s in (0, 2)}
    table = tables_of(norms(results(seeds, ABOUT)))["In each setting."]
    low, high = interval({0: [0.1, 0.1], 1: [0.2, 0.2]})
    gain = ("+15.0", f"[+{100 * low:.1f}, +{100 * high:.1f}]")
    assert table[1][:3] == ["batch size 16", "both", gain]
    alone = {key: value for key, value in GRID.items() if key != ("none", 16, 0)}
    table = tables_of(norms(results(alone, ABOUT)))["In each setting."]
    assert table[1][2][0] == "+20.0"
    assert table[1][-1] == "1"


def test_rows_of_two_fields_compare_all_else_equal():
    found = results(GRID, {"rows": ["norm", "batch_size"], "columns": "pollution"})
    assert headline(found)[2] == ["none", "64", ("75.0", "n 2")]
    table = tables_of(norms(found))["In each setting."]
    assert [[*row[:2], row[2][0]] for row in table[1:]] == [
        ["batch size 16", "both", "+15.0"],
        ["batch size 64", "both", "+10.0"],
    ]


def test_another_field_can_be_compared():
    """Batch 64 against 16: class 0 gains 10 and 5, class 1 loses 10 and 15."""
    found = results(GRID, ABOUT | {"compare": "batch_size"})
    (together,) = (each for each in contrasts(found) if each.context is None)
    assert together.value == "64"
    assert together.pairs.by_class == {
        ("cifar10", 0): pytest.approx([0.1, 0.05]),
        ("cifar10", 1): pytest.approx([-0.1, -0.15]),
    }
    section = norms(found)
    assert section.title == "What batch size changes"
    assert "Each batch size against batch size 16" in section.blocks[0].text


def test_the_picture_holds_the_values_of_the_table():
    panel = picture(results(GRID, ABOUT)).panel
    assert isinstance(panel, Cells)
    spread = panel.columns["64"]["none"]
    assert list(spread.values) == pytest.approx([90, 60])
    assert spread.mean == pytest.approx(75)
    assert spread.bounds is None


def test_many_rows_are_a_heat_map():
    many = {(norm, 2**n, 0): 0.5 + 0.01 * n for norm in ("none", "both") for n in range(4)}
    panel = picture(results(many, {"rows": ["norm", "batch_size"]})).panel
    assert isinstance(panel, HeatMap)
    assert panel.values[3, 0] == pytest.approx(0.53)
    assert panel.rows == ("norm, batch size", [f"{n} {2**i}" for n in ("none", "both")
                                               for i in range(4)])  # fmt: skip
