"""Scores by layers: a table and a heat map an arm, layers from the input on."""

import pytest

from tests.tracking.report.made import GRID, results, tables_of
from tracking.report.sections.layers import layers

ABOUT = {"rows": ["norm", "pollution"], "lead": ["layers"]}


def test_a_table_an_arm_with_layers_in_order():
    tables = tables_of(layers(results(GRID, ABOUT)))
    assert list(tables) == [
        f"batch size {batch}, norm {norm}, pollution 0 (n = 2)"
        for batch in (16, 64) for norm in ("none", "both")
    ]  # fmt: skip
    first = tables["batch size 16, norm none, pollution 0 (n = 2)"]
    assert first[0] == ["score", "stem", "embedding", "ensemble"]
    assert first[1] == ["c-cos", "45.0", "75.0", "76.0"]


def test_heat_maps_hold_the_numbers_of_the_tables_on_one_scale():
    pictures = layers(results(GRID, ABOUT)).blocks[0].pictures
    assert pictures[0].panel.columns == ("layer", ["stem", "embedding", "ensemble"])
    assert pictures[0].panel.values[0, 0] == pytest.approx(0.45)
    for picture in pictures:
        assert picture.panel.span == pytest.approx((0.45, 0.91))
    assert "Highest: c-cos on ensemble, 76.0" in pictures[0].alt


def test_many_arms_are_averaged_where_the_study_is_about_something_else():
    many = {("none", 2**n, c): 0.8 for n in range(9) for c in range(2)}
    rows = {"rows": ["batch_size"]}
    assert list(tables_of(layers(results(many, rows)))) == ["all trials (n = 18)"]
    assert len(tables_of(layers(results(many, rows | {"lead": ["layers"]})))) == 9
