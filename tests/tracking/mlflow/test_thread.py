"""The mirror beside a study: a server that is dead, mute or killed costs seconds and no value."""

import os
import signal
import time

import pytest
from mlflow import MlflowClient

from tests.conftest import free_port
from tests.tracking.mlflow.test_mirror import IDS, add_epoch, begin, finish
from tests.tracking.mlflow_lab import (
    Server,
    mute_server,
    runs_of,
    values_in_mlflow,
    values_in_store,
)
from tracking import create_store
from tracking.mlflow import mirror
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri
from tracking.mlflow.thread import MlflowThread

LIMIT_S = 5 + 25  # what is promised, and what a busy machine may add; MLflow's own is minutes


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


@pytest.fixture
def attempts(monkeypatch):
    """Grows by one whenever a thread whose last attempt failed begins another, or its first."""
    begun = []

    def counted(*arguments):
        begun.append(arguments)
        return MlflowMirror(*arguments)

    monkeypatch.setattr(mirror, "MlflowMirror", counted)
    return begun


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "not so in 60 s"
        time.sleep(0.02)


def closed_in(thread: MlflowThread) -> tuple[bool, float]:
    started = time.monotonic()
    well = thread.close(timeout_s=120)  # as the studies' command does
    return well, time.monotonic() - started


def test_it_is_up_to_date_when_it_closes(store):
    uri = tracking_uri(store)
    thread = MlflowThread(store, "table3", uri, every_s=0.1)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    finish(store.trial(IDS[0]))
    assert thread.close(timeout_s=120)
    assert values_in_mlflow(uri, "table3") == values_in_store(store)
    assert runs_of(uri, "table3")["table3"].info.status == "FINISHED"


def test_a_server_that_was_never_there_is_named_once(store, caplog, attempts):
    uri = f"http://127.0.0.1:{free_port()}"
    thread = MlflowThread(store, "table3", uri, every_s=0.1)
    thread.start()
    add_epoch(store.trial(IDS[0]), 1)
    until(lambda: len(attempts) >= 4)
    well, seconds = closed_in(thread)
    assert not well
    assert seconds < LIMIT_S
    assert [uri in each.message for each in caplog.records if "up to date" in each.message] == [
        True
    ]


def test_a_server_that_never_answers_holds_nothing_up(store, attempts, monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with mute_server() as uri:
        moments = {
            "before its first attempt": lambda thread: True,
            "during it": lambda thread: attempts,
            "after it": lambda thread: thread.failure,
        }
        for closed in moments.values():
            attempts.clear()
            thread = MlflowThread(store, "table3", uri)
            thread.start()
            until(lambda closed=closed, thread=thread: closed(thread))
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


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (MlflowClient, "create_run"),
        (MlflowClient, "log_batch"),
        (mirror, "write_artifacts"),  # next they are copied to their place
        (MlflowClient, "set_terminated"),
    ],
)
def test_of_a_store_that_is_moved_away_in_the_middle_nothing_is_made_anew(
    store, tmp_path, monkeypatch, of, name
):
    finish(store.trial(IDS[0]))
    before = getattr(of, name)

    def moved(*arguments, **options):
        found = before(*arguments, **options)
        if not (tmp_path / "elsewhere").exists():
            store.root.rename(tmp_path / "elsewhere")
            store.root.mkdir()  # as others do who find none
        return found

    monkeypatch.setattr(of, name, moved)
    thread = MlflowThread(store, "table3", tracking_uri(store), every_s=0.05)
    thread.start()
    until(lambda: (tmp_path / "elsewhere").exists())
    time.sleep(0.5)  # for some more attempts
    thread.close(60)
    assert (tmp_path / "elsewhere" / "store.json").exists()
    assert list(store.root.iterdir()) == []


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
