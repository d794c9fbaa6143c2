"""Mutual exclusion between processes: a hold ends with its process at the latest.

In a folder it is a lock of the kernel on a file, in object storage a lease.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tracking.files.door import open_plain
from tracking.files.held import HeldError, Hold
from tracking.files.lease import lease
from tracking.files.objects import ObjectPath
from tracking.files.place import StorePath


def hold(path: StorePath, holder: str, wait_s: float) -> AbstractContextManager[Hold]:
    """Hold ``path`` exclusively; the hold ends with the process at the latest.

    Args:
        path: the lock's own file.
        holder: what others are told.
        wait_s: how long to wait for another. A lease is seen to be dead after
            ``lease.EXPIRY_S``; who waits less is refused as soon as it is seen to be alive.

    Raises:
        HeldError: another process still holds it.
    """
    if isinstance(path, ObjectPath):
        return lease(path, holder, wait_s)
    return _lock(path, holder, wait_s)


@contextmanager
def _lock(path: Path, holder: str, wait_s: float) -> Iterator[Hold]:
    deadline = time.monotonic() + wait_s
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    with os.fdopen(open_plain(path, flags), "a+") as stream:
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
