"""The folder of Ray's own files while a study runs: closed to others, with a name that is short."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nsa_core import InputError
from studies.cluster.signals import signals_wait

_SOCKET = "/nsa-ray-12345678/ray-1/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
_LONGEST = 107 - len(_SOCKET)
"""Bytes of a folder's name in which Ray's sockets have names that the kernel takes."""

_PATIENCE_S = 10.0


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder in ``RAY_TMPDIR``, else in ``TMPDIR`` or, where its name is too long, in another
    for temporary files; it is removed with all that Ray has in it.

    Raises:
        InputError: there is none with a name that is short enough, and that can be written.
    """
    folder = _made()
    try:
        yield folder
    finally:
        with signals_wait():
            deadline = time.monotonic() + _PATIENCE_S
            while folder.exists() and time.monotonic() < deadline:
                shutil.rmtree(folder, ignore_errors=True)
                time.sleep(0.05)  # Ray's processes write as they end


def _made() -> Path:
    explicit = os.environ.get("RAY_TMPDIR")
    places = [explicit] if explicit else ["/tmp", "/var/tmp", "/dev/shm"]
    if not explicit:
        with suppress(FileNotFoundError):  # none can be written
            places.insert(0, tempfile.gettempdir())
    for place in map(os.path.abspath, places):
        if len(os.fsencode(place)) <= _LONGEST:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="nsa-ray-", dir=place))
    raise InputError(
        f"Ray cannot put its sockets into {' or '.join(places)}; set RAY_TMPDIR to a folder that "
        f"can be written and whose name has at most {_LONGEST} bytes"
    )
