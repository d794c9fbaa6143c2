"""Published figures beside ours, per class and with what they cost, against sums done by hand."""

import dataclasses

import pyarrow as pa

from tests.tracking.report.made import results, tables_of, trial
from tracking.report.blocks import Text
from tracking.report.numbers import NONE
from tracking.report.results import Results
from tracking.report.sections.published import published
from tracking.schema import SCORES


def entry(auroc, layer="embedding", scorer="c-cos", source="Table 1", **where):
    return {"where": {"dataset": "cifar10", **where}, "auroc": auroc, "scorer": scorer,
            "layer": layer, "source": source}  # fmt: skip


VALUES = {("none", 16, 0): 0.8, ("none", 16, 1): 0.7, ("both", 16, 0): 0.9}


def table(found, name) -> list[list]:
    return next(rows for caption, rows in tables_of(found).items() if caption.startswith(name))


def test_every_figure_is_beside_our_mean_under_its_own_score_and_layer():
    """``made`` puts the ensemble .01 above the embedding."""
    about = {"published": [
        entry(0.75, norm="none"),
        entry(0.9, "ensemble", source="Table 2", norm="none"),
        entry(0.5, norm="both", pollution=0.9),  # no such trial
        entry(0.5, "method", "csi", norm="both"),  # no such score
    ]}  # fmt: skip
    section = published(results(VALUES, about))
    header, single, together = table(section, "Mean AUROC")
    assert header == ["norm", "score", "published", "ours", "", "passes", "networks"]
    assert single[:3] == ["none", "c-cos", ("75.0", "Table 1")]
    assert single[3] == ("75.0", "n 2")
    assert single[4] == "agrees *"
    assert together[1:3] == ["c-cos, ensemble", ("90.0", "Table 2")]
    assert together[3][0] == "76.0"
    assert together[4] == "lower by 14.0 *"
    note = next(block.text for block in section.blocks if isinstance(block, Text))
    assert "2 of 10 classes" in note


def test_every_class_has_its_mean_over_seeds_and_the_last_column_is_the_classes():
    seeds = {**VALUES, ("none", 16, 0, 1): 0.9}
    about = {"published": [entry(0.75, norm="none"), entry(0.75, norm="none", source="Table 9"),
                           entry(0.75, norm="both")]}  # fmt: skip
    rows = table(published(results(seeds, about)), "Every normal class")
    assert rows == [
        ["norm", "score", "class 0", "class 1", "mean"],
        ["none", "c-cos", "85.0", "70.0", "77.5"],
        ["both", "c-cos", "90.0", NONE, "90.0"],
    ]


def test_passes_are_those_that_trials_counted_for_the_layer():
    own = [{"trial_id": f"{0:016x}", "epoch": 8, "layer": "method", "scorer": "csi", "auroc": 0.9}]
    one = trial(0, 0.8, norm="none", batch_size=16, normal_class=0, seed=0)
    one = dataclasses.replace(
        one,
        scores=pa.concat_tables([one.scores, pa.Table.from_pylist(own, schema=SCORES)]),
        state={**one.state, "passes": 1.0, "own_passes": 160.0},
    )
    about = {"headline": "c-cos", "published": [
        entry(0.75, norm="none"), entry(0.9, "method", "csi", norm="none")
    ]}  # fmt: skip
    _, common, csi = table(published(Results("made", about, [one])), "Mean AUROC")
    assert common[-2:] == ["1", "1"]
    assert csi[-2:] == ["160", "1"]
    assert csi[3][0] == "90.0"


def test_a_study_that_names_no_figures_or_has_none_of_their_scores_has_no_section():
    assert published(results(VALUES, {})) is None
    assert published(results(VALUES, {"published": [entry(0.9, "method", "csi")]})) is None
