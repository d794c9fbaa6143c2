"""What is made once a test run, however many processes (pytest-xdist) run its tests."""

import fcntl
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled for whoever asked first.

    The others wait for it. If it failed, the first one gets its error, and all others a line that
    says where that is written.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all workers
    folder, made = base / f"shared-{name}", base / f"shared-{name}.made"
    failed = made.with_suffix(".failed")
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if failed.exists():
            pytest.fail(f"{name}, which many tests share, failed: see {failed}", pytrace=False)
        if not made.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                failed.write_text(traceback.format_exc())
                raise
            made.touch()
    return folder
