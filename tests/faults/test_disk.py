"""The store's disk fills up under a running study, and is given room again."""

import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch

from studies.trial.failures import DiskFullError
from studies.trial.life import run_trial
from tests.faults.lab import (
    HANG_S,
    Driver,
    Outcome,
    interrupted,
    next_epoch,
    pause,
    start,
    stores,
)
from tracking import create_store
from tracking.trial import trial_id

no_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")


@contextmanager
def small_disk(folder: Path, megabytes: int):
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Fill the store's disk at random moments; the study ends, space is made, it goes on."""
    outcome = Outcome()
    for place in stores(folder, lambda: outcome.injections < repeats):
        with small_disk(place, 64) as disk:
            store, errors = disk / "store", place.with_suffix(".err")

            def begin(store=store, place=place, errors=errors):
                errors.unlink(missing_ok=True)
                return start(store, words=place)

            def strike(study, store=store, errors=errors):
                return fill(study, store, errors, moments)

            interrupted(begin, store, outcome, repeats, strike)
            outcome.compare(store, reference)
    return outcome


def fill(study: Driver, path: Path, errors: Path, moments: random.Random) -> int:
    """When the disk was full, in ns; 0 if the study ended well before."""
    next_epoch(path, study)
    time.sleep(pause(moments, 3))
    at = time.time_ns()
    left = moments.randrange(0, 300_000)
    with (path.parent / "filler").open("wb", buffering=0) as filler:
        while (free := shutil.disk_usage(path).free) > left:
            filler.write(b"\0" * min(free - left, 1 << 20))
    code = study.wait(timeout=HANG_S)
    (path.parent / "filler").unlink()
    if code == 0:
        return 0
    said = errors.read_text()
    assert code == 2, said
    assert said.count("no space left on the disk of") == 1, said
    assert "Traceback" not in said, said
    return at


@pytest.mark.root
@no_mounts
@pytest.mark.xdist_group("interruptions")
def test_a_full_disk_ends_the_study_which_goes_on_once_there_is_space(interrupted_study):
    interrupted_study.total.assert_nothing_lost(1)
    assert "disk full" in interrupted_study.by_fault  # ``fill`` reads what it says


@pytest.mark.root
@no_mounts
def test_a_trial_that_finds_no_room_for_its_lock_says_so(tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        record = create_store(disk / "store").trial(trial_id({}, "f"))
        record.create({}, {"data_fingerprint": "f"})
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(b"\0" * 4096):
                pass
        with pytest.raises(DiskFullError, match="no space left on the disk of"):
            next(run_trial(record, None, torch.device("cpu")))
        (disk / "filler").unlink()
        assert record.state()["status"] == "pending"
