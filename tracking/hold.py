"""Something that one process at a time may hold, until it lets go or dies.

In a folder it is a lock of the kernel on a file. Object storage has no locks: there it is a lease,
an object with the holder's mark in it that the holder changes every few seconds. Who finds it free,
or unchanged for ``EXPIRY_S`` by its own clock, writes its own mark, waits, and holds it if the mark
is still there (Fischer's algorithm). That needs a storage whose reads see the latest write, as S3
has been since 2020, and writes that take less than ``SETTLE_S``.
"""

import contextlib
import fcntl
import json
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracking.errors import StoreError
from tracking.storage import ObjectPath, StorePath

_LOG = logging.getLogger(__name__)

BEAT_S = 5.0
EXPIRY_S = 30.0
SETTLE_S = 2.0


def this_process(purpose: str = "") -> str:
    """What others are told of a holder."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    name = f"process {os.getpid()} on {socket.gethostname()}, since {now}"
    return f"{purpose}, {name}" if purpose else name


class HeldError(StoreError):
    """Another process holds it; ``holder`` is what that said of itself."""

    def __init__(self, path: StorePath, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.holder = holder


class Hold:
    """What ``hold`` gives."""

    def __init__(self, lasts_s: float = math.inf) -> None:
        self._lasts_s = lasts_s
        self._renewed = time.monotonic()

    def renew(self, moment: float) -> None:
        """It lasts as long again from this moment on, in s of the monotonic clock."""
        self._renewed = moment

    def end(self) -> None:
        """Another process has it now."""
        self._lasts_s = -math.inf

    @property
    def lost(self) -> bool:
        """May another process hold it by now, because this one could not renew its lease?"""
        return time.monotonic() - self._renewed > self._lasts_s


def hold(path: StorePath, holder: str, wait_s: float) -> AbstractContextManager[Hold]:
    """Hold ``path`` against every other process; the hold ends with the process at latest.

    Args:
        path: the lock's own file.
        holder: what others are told.
        wait_s: how long to wait for another. It takes ``EXPIRY_S`` to see that a lease is dead;
            who waits less than that is refused as soon as it is seen to be alive.

    Raises:
        HeldError: another process still holds it.
    """
    if isinstance(path, ObjectPath):
        return _lease(path, holder, wait_s)
    return _lock(path, holder, wait_s)


@contextmanager
def _lock(path: Path, holder: str, wait_s: float) -> Iterator[Hold]:
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_s
    with path.open("a+") as stream:
        while not _try_lock(stream.fileno()):
            if time.monotonic() >= deadline:
                time.sleep(0.2)  # it may have taken hold just now, and not said yet who it is
                stream.seek(0)
                raise HeldError(path, stream.read().strip() or "another process")
            time.sleep(0.1)
        stream.truncate(0)
        stream.write(holder)
        stream.flush()
        try:
            yield Hold()
        finally:
            with contextlib.suppress(OSError):
                stream.truncate(0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _lease(path: ObjectPath, holder: str, wait_s: float) -> Iterator[Hold]:
    mark = {"token": secrets.token_hex(8), "holder": holder}
    while True:
        _await_free(path, wait_s)
        free = time.monotonic()
        held = Hold(EXPIRY_S - SETTLE_S)  # others count from when they see the mark
        path.write_bytes(_encoded(mark, 0))
        if time.monotonic() - free > SETTLE_S / 2:
            continue  # so late that the mark may have replaced that of a holder
        time.sleep(SETTLE_S)  # who saw it free at the same time has written its mark by now
        if _read(path).get("token") == mark["token"]:
            break
    done = threading.Event()
    beats = threading.Thread(target=_renew, args=(path, mark, held, done), daemon=True)
    beats.start()
    try:
        yield held
    finally:
        done.set()
        beats.join()
        if not held.lost:
            path.unlink(missing_ok=True)


def _await_free(path: ObjectPath, wait_s: float) -> None:
    started = changed = time.monotonic()
    before = now = _read(path)
    if now:
        _LOG.warning("%s: held by %s; waiting to see whether that lives", path, now.get("holder"))
    while now:
        moment = time.monotonic()
        if now != before:
            before, changed = now, moment
        if moment - changed >= EXPIRY_S:
            return
        alive = changed > started or wait_s >= EXPIRY_S
        if alive and moment - started >= wait_s:
            raise HeldError(path, str(now.get("holder")))
        time.sleep(EXPIRY_S / 60)
        now = _read(path)


def _renew(path: ObjectPath, mark: dict[str, Any], held: Hold, done: threading.Event) -> None:
    beat = 0
    while not done.wait(BEAT_S) and not held.lost:
        beat += 1
        started = time.monotonic()
        with contextlib.suppress(StoreError):  # the storage does not answer for a moment
            if _read(path).get("token") != mark["token"]:
                held.end()
            else:
                path.write_bytes(_encoded(mark, beat))
                held.renew(started)


def _read(path: ObjectPath) -> dict[str, Any]:
    """The mark in it; nothing if it is free."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"holder": "an unreadable mark"}
    return found if isinstance(found, dict) else {"holder": "an unreadable mark"}


def _encoded(mark: dict[str, Any], beat: int) -> bytes:
    return json.dumps({**mark, "beat": beat}).encode()
