"""Whole studies beside an MLflow that is absent or mute: all ends well, nothing is lost.

The same study shows what becomes of a trial whose worker dies for good. An MLflow that is killed
again and again: ``tests/faults/test_mlflow.py``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.studies.conftest import rows, wait_for, workers
from tests.studies.forked import start_toy
from tests.tracking.mlflow_lab import (
    mute_server,
    values_in_mlflow,
    values_in_store,
)
from tracking import mlflow_sync, open_store

STUDY = "batchsize_ablation"


@dataclass
class Run:
    """One of the two runs of the study: the first loses a trial, the second runs it again."""

    uri: str
    out: str
    err: str
    returncode: int
    statuses: list[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow") / "store"


@pytest.fixture(scope="module")
def runs(store):
    first = run(store, f"http://127.0.0.1:{free_port()}", "--retries", "0", kill_one=True)
    with mute_server() as mute:
        second = run(store, mute, "--retry-failed")
    return {"absent": first, "mute": second}


def run(store: Path, uri: str, *more: str, kill_one: bool = False) -> Run:
    words = store.with_name(f"run-{kill_one}")
    study = start_toy(store, "--tracking-uri", uri, *more, words=words)
    if kill_one:
        wait_for(lambda: worker_in_training(study, store), "a worker in training").kill()
    code = study.wait(timeout=600)
    out, err = (words.with_suffix(end).read_text() for end in (".out", ".err"))
    return Run(uri, out, err, code, open_store(store).trials()["status"].to_pylist())


def worker_in_training(study, store):
    """A worker of the study, once a trial that runs has recorded an epoch."""
    assert study.poll() is None, "the study has ended"
    for status in (store / "trials").glob("*/status.json"):
        if (
            json.loads(status.read_text())["status"] == "running"
            and (status.parent / "dynamics.parquet").exists()
        ):
            return next(iter(workers(study)), None)
    return None


@pytest.mark.parametrize("kind", ["absent", "mute"])
def test_never_there(runs, store, kind):
    seen = runs[kind]
    assert seen.err.count("the study goes on without it") == 1, seen.err
    assert f"nsa sync {store} --tracking-uri {seen.uri}" in seen.out


def test_all_that_it_missed_can_be_brought_later(runs, store, tmp_path):
    later = f"sqlite:///{tmp_path}/later.db"
    assert mlflow_sync.main([str(store), "--tracking-uri", later]) == 0
    values = values_in_mlflow(later, STUDY)
    assert values == values_in_store(open_store(store))
    assert values.total() > 4 * 3 * 30  # trials, epochs, columns at least


def test_a_worker_that_always_dies_is_named_and_the_rest_goes_on(runs):
    first = runs["absent"]
    assert first.returncode == 1
    assert "its worker died 1 time" in first.out
    assert sorted(first.statuses) == ["failed"] + ["finished"] * 3


def test_its_trial_is_run_again_if_asked_for_with_the_same_numbers(runs, store, undisturbed):
    second = runs["mute"]
    assert second.returncode == 0, second.err
    assert "4 trials: 3 done before, 1 to run" in second.out
    assert second.statuses == ["finished"] * 4
    ours, theirs = open_store(store), open_store(undisturbed[0])
    for name in ("scores", "dynamics"):
        wanted = [row for row in rows(getattr(theirs, name)()) if row["trial_id"] in
                  ours.members(STUDY)]  # fmt: skip
        assert rows(getattr(ours, name)()) == wanted
