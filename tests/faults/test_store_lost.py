"""The store cannot be written any more under a running study: read-only, or moved away."""

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.lab import HANG_S, Driver, Outcome, interrupted, next_epoch, pause, start, stores
from tests.faults.test_disk import no_mounts

WAYS = {"moved away": "is not there any more; bring it back", "read-only": "Read-only file system"}


def lose_store(
    folder: Path, reference: Path, moments: random.Random, repeats: int, how: str
) -> Outcome:
    """Take the store away at random moments; the study ends, it is given back, it goes on."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        errors = store.with_suffix(".err")

        def begin(store=store, errors=errors):
            errors.unlink(missing_ok=True)
            return start(store)

        def strike(study, store=store, errors=errors):
            return lose(study, store, errors, moments, how)

        interrupted(begin, store, outcome, repeats, strike)
        outcome.compare(store, reference)
    return outcome


def lose(study: Driver, store: Path, errors: Path, moments: random.Random, how: str) -> int:
    """When it was lost, in ns; 0 if the study ended well before. It is given back."""
    next_epoch(store, study)
    time.sleep(pause(moments, 3))
    at = time.time_ns()
    safe = store.with_name(f"{store.name}-elsewhere")
    if how == "moved away":
        store.rename(safe)
    else:
        subprocess.run(["mount", "--bind", store, store], check=True)
        read_only = ["mount", "-o", "remount,ro,bind", store]
        while subprocess.run(read_only, check=False).returncode:  # while somebody writes
            time.sleep(0.01)
    code = study.wait(timeout=HANG_S)
    if how == "moved away":
        left = [each for each in store.rglob("*") if each.is_file() and each.name[0] != "."]
        shutil.rmtree(store, ignore_errors=True)  # folders
        safe.rename(store)
        if code:
            assert not left, left
    else:
        subprocess.run(["umount", "--lazy", store], check=True)
    if code == 0:
        return 0
    said = errors.read_text()
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if "error: " in line]
    assert WAYS[how] in line, said  # that MLflow is not up to date is said in a line of its own
    assert "Traceback" not in said, said
    assert "then the same command goes on" in said
    return at


@pytest.mark.xdist_group("interruptions")
@pytest.mark.parametrize(
    "how", ["moved away", pytest.param("read-only", marks=[pytest.mark.root, no_mounts])]
)
def test_a_store_that_is_lost_ends_the_study_which_goes_on_once_it_is_back(interrupted_study, how):
    interrupted_study.total.assert_nothing_lost(1)
    assert f"store {how}" in interrupted_study.by_fault  # ``lose`` reads what it says
    assert interrupted_study.left_behind[f"store {how}"] == []
