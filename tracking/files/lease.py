"""Leases: mutual exclusion in object storage, where the kernel has no locks.

It is an object with the holder's mark in it, which the holder replaces every few seconds. Who finds
none creates it, and who sees one that has not changed for ``EXPIRY_S`` replaces it. Both are
conditional writes, so of several one succeeds, however long a write takes. No two clocks are
compared: each process measures by its own how long it has seen no change.
"""

import contextlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tracking.errors import StoreError
from tracking.files.held import HeldError, Hold
from tracking.files.objects import ChangedError, ObjectPath

_LOG = logging.getLogger(__name__)

BEAT_S = 5.0
EXPIRY_S = 30.0


@contextmanager
def lease(path: ObjectPath, holder: str, wait_s: float) -> Iterator[Hold]:
    """Hold ``path``; see ``tracking.files.hold``."""
    mark = {"token": secrets.token_hex(8), "holder": holder}
    held = Hold(EXPIRY_S - BEAT_S)  # so this process knows before another can take it
    tag = _take(path, mark, wait_s, held)
    done = threading.Event()
    beats = threading.Thread(target=_renew, args=(path, mark, tag, held, done), daemon=True)
    beats.start()
    try:
        yield held
    finally:
        done.set()
        beats.join()
        if not held.lost:
            path.unlink(missing_ok=True)


def _take(path: ObjectPath, mark: dict[str, Any], wait_s: float, held: Hold) -> str:
    """Acquire the lease, or take over that of a dead holder; returns the version tag."""
    started = seen = time.monotonic()
    changes, before = 0, ""
    while True:
        now = time.monotonic()
        with contextlib.suppress(FileExistsError):
            tag = path.create(_encoded(mark, 0))
            held.renew(now)
            return tag
        found, tag = _read(path)
        if not tag:
            continue  # it was let go of just now
        if found.get("token") == mark["token"]:
            held.renew(now)
            return tag  # it is ours: the storage has answered late, or twice
        if tag != before:
            if not before:
                holder = found.get("holder")
                _LOG.warning("%s: held by %s; waiting to see whether that lives", path, holder)
            changes, before, seen = changes + 1, tag, time.monotonic()
        elif now - seen >= EXPIRY_S:
            with contextlib.suppress(ChangedError):
                tag = path.replace_version(_encoded(mark, 0), tag)
                held.renew(now)
                return tag
        alive = changes > 1 or wait_s >= EXPIRY_S
        if alive and now - started >= wait_s:
            raise HeldError(path, str(found.get("holder")))
        time.sleep(EXPIRY_S / 60)


def _renew(
    path: ObjectPath, mark: dict[str, Any], tag: str, held: Hold, done: threading.Event
) -> None:
    beat = 0
    while not done.wait(BEAT_S) and not held.lost:
        beat += 1
        started = time.monotonic()
        try:
            tag = path.replace_version(_encoded(mark, beat), tag)
            held.renew(started)
        except ChangedError:
            found, tag = _read(path)
            if found.get("token") != mark["token"]:
                held.end()
        except StoreError:
            pass  # the storage does not answer for a moment


def _read(path: ObjectPath) -> tuple[dict[str, Any], str]:
    """The mark in it and its tag; empty if it is free."""
    try:
        data, tag = path.read_tagged()
    except FileNotFoundError:
        return {}, ""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"holder": "an unreadable mark"}, tag


def _encoded(mark: dict[str, Any], beat: int) -> bytes:
    return json.dumps({**mark, "beat": beat}).encode()
