"""MLflow as a view of the store: complete, idempotent, and never in the way."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from tracking import create_store, mlflow_sync
from tracking.mlflow_mirror import MlflowMirror
from tracking.mlflow_thread import MlflowThread
from tracking.schema import DYNAMICS
from tracking.store import default_tracking_uri

IDS = ["a" * 16, "b" * 16]
SIGNALS = [n for n in DYNAMICS.names if n not in ("trial_id", "epoch", "time", "collapsed")]


def add_epoch(record, epoch: int) -> None:
    dynamics = {name: float(epoch) for name in SIGNALS} | {"collapsed": False}
    scores = [{"layer": "embedding", "scorer": "c-cos", "auroc": 0.5 + epoch / 100, "auprc": 0.5,
               "fpr95": 0.5}]  # fmt: skip
    record.add({**dynamics, "epoch": epoch, "step": 3 * epoch}, scores)


def finish(record) -> None:
    rng = np.random.default_rng(0)
    outlier = rng.random(100) < 0.5
    table = pa.table({"row": range(100), "is_outlier": outlier, "c-cos": rng.random(100) + outlier})
    record.write_artifact("test_scores", table)
    record.write_artifact("pollution", {"pollution": 0.1, "indices": [4, 5]})
    record.end("finished")


@pytest.fixture
def store(tmp_path):
    made = create_store(tmp_path / "store")
    for trial_id in IDS:
        record = made.trial(trial_id)
        record.folder.mkdir(parents=True)
        config = {
            "dataset": "digits", "method": "simsiam", "norm": "f", "batch_size": 16,
            "normal_class": 1, "pollution": 0.1, "seed": 0, "augment": {"flip": 0.5},
            "method_options": {},
        }  # fmt: skip
        record.create(config, {"class_name": "1", "data_fingerprint": "f"})
        record.begin({"device": "cpu"})
    made.plan("table3", IDS)
    return made


def runs_of(mirror: MlflowMirror) -> dict:
    found = mirror.client.search_runs([mirror.experiment])
    return {run.data.tags["nsa.trial_id"]: run for run in found}


def history(mirror: MlflowMirror, run, key: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in mirror.client.get_metric_history(run.info.run_id, key)]


def test_runs_metrics_params_and_artifacts_equal_the_store(store):
    first, second = (store.trial(trial_id) for trial_id in IDS)
    for epoch in (1, 2, 5):
        add_epoch(first, epoch)
    finish(first)
    add_epoch(second, 1)
    mirror = MlflowMirror(store, "table3", default_tracking_uri(store))
    assert mirror.sync() == 2
    runs = runs_of(mirror)
    parent, child = runs["table3"], runs[IDS[0]]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.info.status, runs[IDS[1]].info.status) == ("FINISHED", "RUNNING")
    assert child.data.params["batch_size"] == "16"
    assert child.data.params["augment.flip"] == "0.5"
    for name in SIGNALS:
        assert history(mirror, child, f"signal/{name}") == [
            (row["epoch"], row[name]) for row in first.dynamics().to_pylist()
        ]
    assert history(mirror, child, "auroc/c-cos") == [
        (row["epoch"], row["auroc"]) for row in first.scores().to_pylist()
    ]
    artifacts = {item.path for item in mirror.client.list_artifacts(child.info.run_id)}
    assert artifacts == {"config.json", "pollution.json", "scores.png"}


def test_syncing_again_or_from_nothing_known_changes_nothing(store):
    record = store.trial(IDS[0])
    add_epoch(record, 1)
    uri = default_tracking_uri(store)
    MlflowMirror(store, "table3", uri).sync()
    add_epoch(record, 2)
    finish(record)
    mirror = MlflowMirror(store, "table3", uri)  # as a second driver would
    assert mirror.sync() == 1
    assert mirror.sync() == 0
    before = runs_of(mirror)
    # the marks of an earlier sync are lost: everything is sent again, with its own times
    mirror.client.delete_tag(before[IDS[0]].info.run_id, "nsa.synced_epoch")
    mirror.client.delete_tag(before[IDS[0]].info.run_id, "nsa.synced_status")
    again = MlflowMirror(store, "table3", uri)
    assert again.sync() == 1
    assert runs_of(again).keys() == before.keys()
    assert history(again, before[IDS[0]], "signal/loss") == [(1, 1.0), (2, 2.0)]


def test_command_line_rebuilds_the_mirror(store, capsys):
    add_epoch(store.trial(IDS[0]), 1)
    assert mlflow_sync.main([str(store.root)]) == 0
    assert "table3: 2 trials, 2 brought up to date" in capsys.readouterr().out
    assert mlflow_sync.main([str(store.root), "--study", "nope"]) == 2
    assert "no study 'nope'" in capsys.readouterr().err


def test_a_server_that_is_not_there_holds_nothing_up(store):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    thread = MlflowThread(store, "table3", uri, every_s=0.1)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    assert thread.close(timeout_s=60) is False
    assert thread.failure
    assert mlflow_sync.main([str(store.root)]) == 0  # and nothing was lost


@pytest.fixture
def server(tmp_path):
    """A real MLflow server, as a function that starts it again on the same port and database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []

    def start():
        command = f"""-m mlflow server --host 127.0.0.1 --port {port} --workers 1
            --backend-store-uri sqlite:///{tmp_path}/server.db
            --artifacts-destination {tmp_path}/artifacts"""
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = subprocess.Popen(
            [sys.executable, *command.split()],
            env=os.environ | quiet,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        running.append(process)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return process
            time.sleep(0.2)
        raise AssertionError("the MLflow server did not come up in 60 s")

    def kill(process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    yield f"http://127.0.0.1:{port}", start, kill
    for process in running:
        if process.poll() is None:
            kill(process)


def test_a_server_killed_in_the_middle_misses_nothing_in_the_end(store, server):
    uri, start, kill = server
    process = start()
    thread = MlflowThread(store, "table3", uri, every_s=0.2)
    thread.start()
    record = store.trial(IDS[0])
    for epoch in range(1, 31):
        add_epoch(record, epoch)
        time.sleep(0.05)
        if epoch == 15:
            kill(process)
    start()
    finish(record)
    assert thread.close(timeout_s=60)
    mirror = MlflowMirror(store, "table3", uri)
    run = runs_of(mirror)[IDS[0]]
    assert history(mirror, run, "signal/loss") == [(e, float(e)) for e in range(1, 31)]
    assert run.info.status == "FINISHED"
