"""Scores of other definitions and other data are in no mean and no pair, and the report says so."""

import pytest

from tests.tracking.report.conftest import auroc, configurations, written
from tests.tracking.report.made import tables_of
from tracking.report.results import load_results
from tracking.report.sections.norms import norms
from tracking.report.sections.tables import cells_of, tables
from tracking.report.versions import left_out

ABOUT = {"rows": ["norm"], "headline": "k-cos"}
OLD, NEW = {"c-cos": 2, "k-cos": 1}, {"c-cos": 2, "k-cos": 2}
NORMS = ("none", "both")


@pytest.fixture
def mixed(planned):
    """A study of which three classes ran before k-cos changed, and two others after that."""

    def make(headline="k-cos", old=OLD, **how):
        about = ABOUT | {"headline": headline}
        before = {"versions": old} if old is not None else {}
        planned(configurations(norm=NORMS, normal_class=range(3)), about, **before)
        planned(configurations(norm=NORMS, normal_class=(3, 4)), about, versions=NEW, **how)

    return make


def test_a_mean_holds_scores_of_the_newest_version_alone(store, mixed):
    mixed()
    results = load_results(store, "table3")
    (found,) = (group for key, group in cells_of(results).items() if key[0] == ("none",))
    new = [auroc(c, scorer="k-cos") for c in configurations(normal_class=(3, 4))]
    assert found.mean == pytest.approx(sum(new) / 2)
    assert found.n == 2


@pytest.mark.parametrize(("old", "said"), [(OLD, "version 1"), (None, "version unknown")])
def test_pairs_are_of_one_version_and_the_report_says_what_it_left_out(store, mixed, old, said):
    mixed(old=old)
    results = load_results(store, "table3")
    together = tables_of(norms(results))["All settings together."]
    assert together[1][-1] == "2"  # pairs
    page, text, _ = written(store)
    for each in (page, text):
        assert f"6 trials with older k-cos ({said}) are not compared." in each
        assert f"finished, older k-cos ({said})" in each


def test_a_pair_of_two_versions_is_none(store, planned):
    planned(configurations(norm=["none"], normal_class=range(2)), ABOUT, versions=OLD)
    planned(configurations(norm=["both"], normal_class=range(2)), ABOUT, versions=NEW)
    assert norms(load_results(store, "table3")) is None


def test_of_another_score_than_the_headline_the_older_one_has_a_column_of_its_own(store, mixed):
    mixed("c-cos")
    results = load_results(store, "table3")
    found = tables_of(tables(results))["Every score"]
    assert found[0] == ["norm", "c-cos", "k-cos", "k-cos (version 1)"]
    for name, classes, cell in (("new", (3, 4), 2), ("old", range(3), 3)):
        values = [auroc(c, scorer="k-cos") for c in configurations(normal_class=classes)]
        assert found[1][cell] == f"{100 * sum(values) / len(values):.1f}", name
    assert len(results.finished) == 10
    assert left_out(results.trials, "c-cos") == (
        "6 trials with older k-cos (version 1) are not compared."
    )


def test_an_ensemble_of_older_parts_is_an_older_score(store, planned):
    for seed, version in enumerate((3, 4)):
        noted = {"c-cos": 1, "ensemble/c-cos": version, "ensemble/k-cos": 1}
        planned(configurations(seed=[seed]), versions=noted)
    older, newer = load_results(store, "table3").trials
    assert older.older == {"ensemble/c-cos": 3}
    assert newer.older == {}
    assert older._called("ensemble", "c-cos") == "c-cos (version 3)"
    assert older._called("embedding", "c-cos") == "c-cos"


def test_a_methods_own_score_has_the_version_of_its_layer(store, planned):
    for seed, version in enumerate((1, 2)):
        planned(configurations(seed=[seed]), versions={"c-cos": 1, "method/csi": version})
    older, newer = load_results(store, "table3").trials
    assert newer.older == {}
    assert older._called("method", "csi") == "csi (version 1)"
    assert left_out([older, newer], "c-cos") == ""  # it is a column of its own, not another c-cos


def test_stores_from_before_versions_read_as_ever(store, planned):
    planned(configurations(norm=NORMS, normal_class=range(2)), ABOUT)
    results = load_results(store, "table3")
    assert len(results.finished) == 4
    assert left_out(results.trials, "k-cos") == ""


def test_a_running_trial_of_a_newer_program_puts_nothing_out(store, planned):
    planned(configurations(normal_class=range(2)), ABOUT, versions=OLD)
    planned(configurations(normal_class=[2]), ABOUT, versions=NEW, status="running")
    assert len(load_results(store, "table3").finished) == 2


@pytest.mark.parametrize("noted", [None, [], "2", {"k-cos": "2"}, {"k-cos": True}, {"k-cos": -1}])
def test_what_is_no_version_is_an_unknown_one(store, planned, noted):
    planned(configurations(normal_class=[0]), ABOUT, versions=noted)
    planned(configurations(normal_class=[1]), ABOUT, versions=NEW)
    results = load_results(store, "table3")
    assert [trial.class_key[1] for trial in results.finished] == [1]


def test_data_that_have_changed_are_in_no_mean_and_no_pair(store, planned):
    planned(configurations(norm=["none"], normal_class=range(3)), ABOUT, data="before")
    planned(configurations(norm=["both"], normal_class=range(3)), ABOUT, data="now")
    results = load_results(store, "table3")
    assert {trial.value("norm") for trial in results.finished} == {"both"}
    assert norms(results) is None
    _, text, _ = written(store)
    assert "3 trials with older data are not compared." in text
    assert "finished, older data" in text


def test_two_data_sets_each_have_their_own_data(store, planned):
    for name in ("cifar10", "fashion_mnist"):
        planned(configurations(dataset=[name], normal_class=range(2)), ABOUT, data=name)
    assert len(load_results(store, "table3").finished) == 4
