"""The mirror beside a study: a server that is dead, mute or killed costs seconds and no value."""

import os
import signal
import time

import pytest

from tests.conftest import free_port
from tests.tracking.mlflow_lab import (
    Server,
    mute_server,
    runs_of,
    values_in_mlflow,
    values_in_store,
)
from tests.tracking.test_mlflow_mirror import IDS, add_epoch, begin, finish
from tracking import create_store
from tracking.mlflow_mirror import MlflowMirror
from tracking.mlflow_thread import MlflowThread
from tracking.store import default_tracking_uri

LIMIT_S = 5 + 3  # what is promised, and what a busy machine may add; MLflow's own is minutes


@pytest.fixture
def store(tmp_path):
    made = create_store(tmp_path / "store")
    begin(made, IDS[0])
    made.plan("table3", IDS[:1])
    return made


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.kill()


def closed_in(thread: MlflowThread) -> tuple[bool, float]:
    started = time.monotonic()
    well = thread.close(timeout_s=120)  # as the studies' command does
    return well, time.monotonic() - started


def test_it_is_up_to_date_when_it_closes(store):
    uri = default_tracking_uri(store)
    thread = MlflowThread(store, "table3", uri, every_s=0.1)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    finish(store.trial(IDS[0]))
    assert thread.close(timeout_s=120)
    assert values_in_mlflow(uri, "table3") == values_in_store(store)
    assert runs_of(uri, "table3")["table3"].info.status == "FINISHED"


def test_a_server_that_was_never_there_is_named_once(store, caplog):
    uri = f"http://127.0.0.1:{free_port()}"
    thread = MlflowThread(store, "table3", uri, every_s=0.1)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    while not thread.failure:
        time.sleep(0.05)
    time.sleep(1)  # several attempts
    well, seconds = closed_in(thread)
    assert not well
    assert seconds < LIMIT_S
    assert [uri in each.message for each in caplog.records if "up to date" in each.message] == [
        True
    ]


def test_a_server_that_never_answers_holds_nothing_up(store, monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with mute_server() as uri:
        for wait_s in (0.0, 2.0, 6.0):  # closed before, during and after its first attempt
            thread = MlflowThread(store, "table3", uri)
            thread.start()
            time.sleep(wait_s)
            well, seconds = closed_in(thread)
            assert not well
            assert seconds < LIMIT_S


def test_a_server_that_falls_silent_loses_nothing(store, server, monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    server.start()
    thread = MlflowThread(store, "table3", server.uri, every_s=0.2)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    wait_for_epoch(server, 1)
    os.killpg(server.process.pid, signal.SIGSTOP)
    add_epoch(store.trial(IDS[0]), 2)
    well, seconds = closed_in(thread)
    os.killpg(server.process.pid, signal.SIGCONT)
    assert not well
    assert seconds < LIMIT_S
    MlflowMirror(store, "table3", server.uri).finish()
    assert values_in_mlflow(server.uri, "table3") == values_in_store(store)


def test_a_server_killed_in_the_middle_misses_nothing_in_the_end(store, server):
    server.start()
    thread = MlflowThread(store, "table3", server.uri, every_s=0.2)
    thread.start()
    record = store.trial(IDS[0])
    for epoch in range(1, 31):
        add_epoch(record, epoch)
        time.sleep(0.05)
        if epoch == 15:
            server.kill()
    server.start()
    finish(record)
    assert thread.close(timeout_s=120)
    assert values_in_mlflow(server.uri, "table3") == values_in_store(store)
    assert runs_of(server.uri, "table3")[IDS[0]].info.status == "FINISHED"


def wait_for_epoch(server: Server, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            metrics = runs_of(server.uri, "table3")[IDS[0]].data.metrics
            if metrics["signal/loss"] == epoch:
                return
        except (AttributeError, KeyError):  # no experiment, run or value yet
            time.sleep(0.1)
    raise AssertionError(f"epoch {epoch} did not come to MLflow in 60 s")
