"""Choosing without test labels: correlation and regret by hand, and no look at AUROC before."""

from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.tracking.report.made import results, tables_of
from tracking.report.results import Results
from tracking.report.sections import selection as room
from tracking.report.sections.selection import selection
from tracking.report.trials import Trial
from tracking.schema import DYNAMICS

ABOUT = {"rows": ["norm", "batch_size", "augment.brightness"], "lead": ["selection"]}
AUROC = {("none", 16, 0): 0.6, ("f", 16, 0): 0.7, ("both", 64, 0): 0.9}
KAPPA = ({1: 50.0, 8: 5.0}, {1: 1.0, 8: 9.0}, {1: 2.0, 8: 7.0})


def searched() -> Results:
    """Three trials: kappa at the end ranks them 1, 3, 2; that of the first is best at epoch 1."""
    found = []
    for trial, kappa in zip(results(AUROC, {}).trials, KAPPA, strict=True):
        rows = [row | {"kappa_train": kappa[row["epoch"]]} for row in trial.dynamics.to_pylist()]
        config = trial.config | {"augment": {"brightness": 0.25}}
        found.append(
            Trial(trial.trial_id, trial.folder, {**trial.definition, "config": config},
                  trial.state, pa.Table.from_pylist(rows, schema=DYNAMICS), trial.scores)
        )  # fmt: skip
    return Results("made", ABOUT, found)


def rows(title: str) -> dict[str, list[str]]:
    tables = tables_of(selection(searched()))
    return {row[0]: row[1:] for row in tables[title][1:]}


def test_choices_ranks_and_regrets_are_those_computed_by_hand():
    found = rows("Choosing a configuration at the last epoch")
    assert found["kappa"] == ["+0.50", "3", "70.0", "20.0", "f, 16, 0.25"]
    assert found["loss"] == ["+1.00", "3", "90.0", "0.0", "both, 64, 0.25"]  # minus the AUROC
    assert found["mmd"][0] == "–"  # all equal
    assert found["any at random"] == ["", "3", "73.3", "16.7", "the mean"]
    assert found["oracle"] == ["", "3", "90.0", "0.0", "both, 64, 0.25"]
    assert "held-out" not in found  # not measured


def test_epochs_are_chosen_by_the_signal():
    found = rows("Choosing an epoch of each finished trial among those evaluated")
    assert found["kappa"] == ["3", "66.7", "6.7"]  # 40, 70, 90 instead of 60, 70, 90
    assert found["last epoch"] == ["3", "73.3", "0.0"]


def test_a_headline_that_only_the_last_epoch_has_is_shown_where_that_epoch_is_chosen():
    """As of OC-SVM, unless it was asked for."""
    found = searched()
    for each in found.trials:
        last = pc.equal(each.scores["epoch"], 8)
        object.__setattr__(each, "scores", each.scores.filter(last))
    tables = tables_of(selection(found))
    chosen = {row[0]: row[1:] for row in tables["Choosing an epoch of each finished trial among"
                                                " those evaluated"][1:]}  # fmt: skip
    assert chosen["kappa"] == ["2", "80.0", "0.0"]  # that of the first trial chooses epoch 1
    assert chosen["last epoch"] == ["3", "73.3", "0.0"]


def test_dots_are_signal_and_auroc():
    pictures = {each.name: each.panel for each in selection(searched()).blocks[-1].pictures}
    assert list(pictures["signal kappa"].points) == [
        (5, pytest.approx(60)), (9, pytest.approx(70)), (7, pytest.approx(90)),
    ]  # fmt: skip


def test_auroc_is_read_after_everything_is_chosen(monkeypatch):
    """With AUROC out of reach, every choice is still made before it is asked for."""
    chosen = []

    def noted(name, choose):
        def note(*given):
            chosen.append(name)
            return choose(*given)

        return note

    for name in ("best_trial", "best_epoch"):
        monkeypatch.setattr(room, name, noted(name, getattr(room, name)))
    found = searched()
    assert found.finished  # which trials count is known before
    for trial in found.trials:
        object.__setattr__(trial, "scores", None)
        trial.__dict__["auroc"] = MappingProxyType({})
    with pytest.raises(KeyError, match="c-cos"):
        selection(found)
    assert chosen.count("best_trial") == len(room.SIGNALS)
    assert chosen.count("best_epoch") == len(room.SIGNALS) * len(AUROC)
