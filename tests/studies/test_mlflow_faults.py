"""Whole studies beside an MLflow that is killed, absent or mute: all ends well, nothing is lost."""

import subprocess
import time

import pytest

from tests.studies.conftest import ROOT, run_study, study_command
from tests.tracking.mlflow_lab import (
    Server,
    free_port,
    mute_server,
    runs_of,
    values_in_mlflow,
    values_in_store,
)
from tracking import mlflow_sync, open_store

STUDY = "batchsize_ablation"


def test_killed_and_started_again_in_the_middle(tmp_path):
    server = Server(tmp_path)
    server.start()
    path = tmp_path / "store"
    study = subprocess.Popen(
        study_command(path, "--tracking-uri", server.uri),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for_ended(study, path, 1)
        server.kill()
        wait_for_ended(study, path, 4)
        server.start()
        _, errors = study.communicate(timeout=300)
        assert study.returncode == 0, errors
        assert errors.count("the study goes on without it") <= 1
        store = open_store(path)
        assert mlflow_sync.main([str(path), "--tracking-uri", server.uri]) == 0
        assert values_in_mlflow(server.uri, STUDY) == values_in_store(store)
        runs = runs_of(server.uri, STUDY)
        assert len(runs) == 9
        assert {run.info.status for run in runs.values()} == {"FINISHED"}
    finally:
        study.kill()
        server.kill()


@pytest.mark.parametrize("kind", ["absent", "mute"])
def test_never_there(tmp_path, kind):
    path = tmp_path / "store"
    with mute_server() as mute:
        uri = mute if kind == "mute" else f"http://127.0.0.1:{free_port()}"
        done = run_study(path, "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the study goes on without it") == 1
    assert f"mlflow_sync {path} --tracking-uri {uri}" in done.stdout
    store = open_store(path)
    later = f"sqlite:///{tmp_path}/later.db"
    assert mlflow_sync.main([str(path), "--tracking-uri", later]) == 0
    values = values_in_mlflow(later, STUDY)
    assert values == values_in_store(store)
    assert values.total() > 8 * 3 * 30  # trials, epochs, columns at least


def wait_for_ended(study: subprocess.Popen, path, count: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert study.poll() is None, "the study ended before the fault"
        if (path / "store.json").exists():
            states = [record.state()["status"] for record in map(
                open_store(path).trial, open_store(path).members(STUDY))]  # fmt: skip
            if sum(state not in ("pending", "running") for state in states) >= count:
                return
        time.sleep(0.1)
    raise AssertionError(f"{count} trials did not end in 300 s")
