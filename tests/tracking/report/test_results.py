"""Results hold what the trials' own files hold, read in one way."""

import numpy as np
import pytest

from tests.tracking.report.conftest import EPOCHS, auroc, configurations
from tracking.report.results import load_results
from tracking.schema import SIGNAL_COLUMNS
from tracking.tables.snapshot import Snapshot


def read_of(scores) -> list[dict]:
    """All epochs of the embedding, and the last one of other layers."""
    return [
        row
        for row in scores.to_pylist()
        if row["layer"] == "embedding" or row["epoch"] == EPOCHS[-1]
    ]


def test_every_row_comes_from_the_trials_files(store, planned):
    """Also where a compaction holds some trials and not the others."""
    planned(configurations(normal_class=range(2)), study="one")
    store.compact()
    ids = planned(configurations(normal_class=range(3), seed=(1, 2)), study="two")
    ids = [*store.members("one"), *ids]
    store.plan("two", ids)
    found = load_results(store, "two")
    assert sorted(trial.trial_id for trial in found.trials) == sorted(ids)
    for trial in found.trials:
        record = store.trial(trial.trial_id)
        assert trial.dynamics.to_pylist() == record.dynamics().to_pylist()
        key = ("epoch", "layer", "scorer")
        ordered = sorted(trial.scores.to_pylist(), key=lambda row: tuple(row[k] for k in key))
        assert ordered == read_of(record.scores())
        assert trial.signals == record.signals()


def test_a_trial_tells_scores_of_epochs_and_layers(store, planned):
    (config,) = configurations()
    planned([config])
    (trial,) = load_results(store, "table3").trials
    assert trial.epochs.tolist() == list(EPOCHS)
    assert trial.auroc["k-cos"] == {e: pytest.approx(auroc(config, e, "k-cos")) for e in EPOCHS}
    assert trial.final("c-cos") == pytest.approx(auroc(config))
    assert trial.last["stem", "c-cos"] == pytest.approx(auroc(config) - 0.1)
    assert trial.final("unheard") is None
    assert set(trial.signals[0]) == set(SIGNAL_COLUMNS)
    assert trial.value("augment.flip") == 0.0
    assert trial.value("augment.gone") is None
    assert trial.value("gone.flip") is None
    assert trial.value("method_options") == '{"projector_dim": 8}'


def test_only_finished_trials_with_the_headline_count(store, planned):
    planned(configurations(), status="running", study="one")
    assert load_results(store, "one").finished == []
    planned(configurations(seed=[3]), about={"headline": "unheard"}, study="two")
    assert load_results(store, "two").finished == []
    planned(configurations(seed=[4]), study="three")
    assert len(load_results(store, "three").finished) == 1


def test_rows_that_lie_in_disorder_are_put_together(store, planned, monkeypatch):
    ids = planned(configurations(normal_class=range(3)))
    tables = store.snapshot().tables(("dynamics", "scores"))
    stream = np.random.default_rng(0)
    mixed = {name: each.take(stream.permutation(len(each))) for name, each in tables.items()}
    monkeypatch.setattr(Snapshot, "tables", lambda self, names: mixed)
    found = load_results(store, "table3")
    for key, trial in zip(ids, found.trials, strict=True):
        assert trial.dynamics.to_pylist() == store.trial(key).dynamics().to_pylist()
        scores = read_of(store.trial(key).scores())
        assert sorted(map(repr, trial.scores.to_pylist())) == sorted(map(repr, scores))
