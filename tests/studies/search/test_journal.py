"""Optuna's journal in object storage, against Optuna's own in a file."""

import optuna
import pytest
from optuna.storages import JournalStorage

from studies.search import journal as object_journal
from studies.search.journal import ObjectJournal
from studies.search.suggestions import open_storage
from tracking.files.place import locate


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(object_journal, "_PART_BYTES", 2000)


def searched(storage, trials):
    study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
    study.sampler = optuna.samplers.RandomSampler(seed=len(study.trials))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=trials)
    study.ask()  # left running, as by a driver that was killed
    return study


def facts(study):
    return [(each.number, each.state, each.params, each.values) for each in study.trials]


def test_it_holds_what_a_file_would_and_goes_on(s3_store, tmp_path):
    place = locate(s3_store) / "optuna" / "s.journal"
    for _ in range(2):
        ours = searched(open_storage(place), 8)
        theirs = searched(open_storage(tmp_path / "s.journal"), 8)
        assert facts(ours) == facts(theirs)
    assert len(facts(ours)) == 18
    assert len(list(place.iterdir())) > 3
    reopened = optuna.load_study(study_name="s", storage=JournalStorage(ObjectJournal(place)))
    assert facts(reopened) == facts(ours)
