"""Trials that Tune gives up: who is run again, and who has failed."""

from types import SimpleNamespace

import pytest

from studies.cluster import watcher as room
from studies.cluster.watcher import Watcher
from studies.trial.failures import OUT_OF_MEMORY
from tracking import create_store

KEY = "0" * 16


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A watcher of a trial that is running."""
    monkeypatch.setattr(room, "check_ray", lambda: None)
    store = create_store(tmp_path / "store")
    store.trial(KEY).create({}, {"data_fingerprint": ""})
    store.trial(KEY).begin({})
    progress = SimpleNamespace(end=lambda key: None)
    return Watcher(store, progress, stall_s=600.0), store.trial(KEY)


def gives_up(watcher, gpus, failures=3):
    trial = SimpleNamespace(
        config={"trial_id": KEY, "gpus": gpus}, num_failures=failures, max_failures=2
    )
    watcher.on_trial_error(0, [], trial)
    return watcher.take_given_up()


@pytest.mark.parametrize("gpus", [0.0, 1.0, 2.0])
def test_whose_own_worker_died_too_often_has_failed(watched, gpus):
    watcher, record = watched
    assert gives_up(watcher, gpus) == []
    assert record.state()["status"] == "failed"
    assert record.state()["message"] == "its worker died 3 times"


def test_whose_worker_died_less_often_is_run_again(watched):
    watcher, record = watched
    assert gives_up(watcher, 1.0, failures=2) == [KEY]
    assert record.state()["status"] == "running"


def test_who_was_interrupted_with_others_is_run_again_and_again_no_more(watched):
    """Another may have taken the process with it each time, and has failed by now."""
    watcher, record = watched
    assert gives_up(watcher, 0.25) == [KEY]
    assert record.state()["status"] == "running"
    gives_up_last = SimpleNamespace(
        config={"trial_id": KEY, "gpus": 0.25}, num_failures=3, max_failures=2
    )
    watcher.on_trial_error(0, [], gives_up_last)
    watcher.end_given_up()
    assert record.state()["message"] == "its worker died 3 times"


def test_who_failed_by_itself_in_a_shared_process_has_failed(watched):
    watcher, record = watched
    record.end("failed", f"{OUT_OF_MEMORY}: 80 GB wanted")
    assert gives_up(watcher, 0.25) == []
    assert record.state()["message"] == f"{OUT_OF_MEMORY}: 80 GB wanted"


def test_who_hung_in_a_shared_process_has_failed(watched):
    watcher, record = watched
    watcher._hung.add(KEY)
    assert gives_up(watcher, 0.25) == []
    assert "after 10 minutes without progress" in record.state()["message"]
