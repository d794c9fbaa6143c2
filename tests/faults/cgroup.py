"""A group of processes to which the kernel gives next to no memory: it kills who wants more."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_VERSION_1 = Path("/sys/fs/cgroup/memory")
_VERSION_2 = Path("/sys/fs/cgroup")
_BYTES = 1 << 20


def absent() -> str:
    """What is missing to make one; nothing if it can be made."""
    try:
        with tight_group():
            return ""
    except OSError as error:
        return f"needs a memory control group: {error}"


@contextmanager
def tight_group(limit: int = _BYTES) -> Iterator[Path]:
    """Its folder, with so many bytes of memory; ``put`` takes it."""
    old = _VERSION_1.is_dir()
    folder = (_VERSION_1 if old else _VERSION_2) / f"nsa-test-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(limit))
        yield folder
    finally:
        folder.rmdir()


def put(process: psutil.Process, group: Path) -> None:
    """From now on the kernel kills it when it wants memory; what it has it keeps."""
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
    except ProcessLookupError as error:
        raise psutil.NoSuchProcess(process.pid) from error
