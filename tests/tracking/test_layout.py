"""How a study reads, as the store keeps it."""

import json

import pytest

from tracking.layout import SECTIONS, Layout, Published


def test_plain_values_that_json_keeps():
    layout = Layout(
        rows=("method", "norm"),
        columns="pollution",
        lead=("tables", "pollution"),
        paper={("cifar10", "simclr", "f", 0.1): 0.798},
    )
    about = layout.about()
    assert json.loads(json.dumps(about)) == about
    assert about["rows"] == ["method", "norm"]
    assert about["headline"] == "c-cos"
    assert about["compare"] == "norm"
    where = {"dataset": "cifar10", "method": "simclr", "norm": "f", "pollution": 0.1}
    assert about["paper"] == [{"where": where, "scorer": "k-cos", "auroc": 0.798}]


def test_a_published_cell_without_a_place_is_refused():
    with pytest.raises(ValueError, match="zip"):
        Layout(rows=("norm",), paper={("cifar10", "f", 512): 0.9}).about()


def test_a_section_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=f"lead has 'plots'; need some of {SECTIONS[0]}"):
        Layout(rows=("norm",), lead=("plots",))


def test_published_figures_are_plain_values_with_their_score_and_source():
    figure = Published({"dataset": "cifar10", "method": "csi"}, 0.943, "csi", "method", "Table 2")
    about = Layout(rows=("method",), published=(figure,)).about()
    assert json.loads(json.dumps(about)) == about
    assert about["published"] == [
        {
            "where": {"dataset": "cifar10", "method": "csi"},
            "auroc": 0.943,
            "scorer": "csi",
            "layer": "method",
            "source": "Table 2",
        }
    ]
