"""Holds between real processes: one at a time, and free again when the holder is killed."""

import multiprocessing
import os
import signal
import time

import pytest

from tests.tracking.files.slow_storage import slow_writes
from tracking.errors import StoreError
from tracking.files import lease as module
from tracking.files.held import HeldError
from tracking.files.hold import hold
from tracking.files.place import locate

FAST = {"BEAT_S": 0.3, "EXPIRY_S": 2.5}
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["folder", "s3"])
def path(request, tmp_path, monkeypatch):
    """A lock's file or object; a lease is quick here, to be waited for."""
    for name, value in FAST.items():
        monkeypatch.setattr(module, name, value)
    if request.param == "folder":
        return tmp_path / ".lock"
    return locate(request.getfixturevalue("s3_store")) / ".lock"


def quick():
    for name, value in FAST.items():
        setattr(module, name, value)


def _hold(place, ready, release):
    quick()
    with hold(locate(place), "the other", wait_s=60):
        ready.set()
        release.wait(120)


@pytest.fixture
def other(path):
    ready, release = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=_hold, args=(str(path), ready, release))
    process.start()
    assert ready.wait(60)
    yield process, release
    process.kill()
    process.join()


def test_it_is_free_again_after_its_end(path):
    for _ in range(2):
        with hold(path, "one", wait_s=0) as held:
            assert not held.lost


def test_a_second_holder_is_refused_and_told_of_the_first(path, other):
    started = time.monotonic()
    with pytest.raises(HeldError) as caught, hold(path, "me", wait_s=0):
        pass
    assert caught.value.holder == "the other"
    assert time.monotonic() - started < 20


def test_who_waits_gets_it_when_the_holder_lets_go(path, other):
    process, release = other
    release.set()
    with hold(path, "me", wait_s=60):
        process.join(30)
        assert process.exitcode == 0


def test_who_waits_gets_it_when_the_holder_is_killed(path, other):
    process, _ = other
    os.kill(process.pid, signal.SIGKILL)
    with hold(path, "me", wait_s=60) as held:
        assert not held.lost


def test_a_holder_that_stood_still_too_long_knows_that_it_lost_a_lease(s3_store, monkeypatch):
    for name, value in FAST.items():
        monkeypatch.setattr(module, name, value)
    path = locate(s3_store) / ".lock"
    with hold(path, "me", wait_s=0) as held:
        monkeypatch.setattr(type(path), "replace_version", _unreachable)
        deadline = time.monotonic() + 30
        while not held.lost:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        monkeypatch.undo()


def _unreachable(self, data, tag):
    raise StoreError("the storage does not answer")


def _count_in_turns(place, folder, rounds):
    quick()
    for _ in range(rounds):
        with hold(locate(place), str(os.getpid()), wait_s=300) as held:
            inside = folder / "inside"
            with inside.open("x"):  # fails if another process is in here
                time.sleep(0.05)
            assert not held.lost
            inside.unlink()
            (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()


def test_a_storage_that_writes_slower_than_a_beat_has_nobody_wait_for_his_own_lease(
    s3_store, s3_server, monkeypatch
):
    for name, value in FAST.items():
        monkeypatch.setattr(module, name, value)
    with slow_writes(s3_server["AWS_ENDPOINT_URL"], seconds=1.0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        path = locate(s3_store) / ".lock"
        with hold(path, "one", wait_s=0) as held:
            with pytest.raises(HeldError, match="held by one"), hold(path, "two", wait_s=0):
                pass
            assert not held.lost


def test_of_several_that_want_it_at_once_one_has_it_at_a_time(path, tmp_path):
    folder = tmp_path / "turns"
    folder.mkdir()
    rounds = 5
    work = (str(path), folder, rounds)
    processes = [SPAWN.Process(target=_count_in_turns, args=work) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(folder.iterdir())) == 3 * rounds
