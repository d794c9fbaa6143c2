"""The store's disk fills up under a running study, and is given room again."""

import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.lab import (
    Outcome,
    next_epoch,
    recorded_again,
    seeded,
    start,
    stores,
)

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
    for place in stores(folder):
        with small_disk(place, 64) as disk:
            path, struck = disk / "store", 0
            while True:
                errors = place.with_suffix(".err")
                errors.unlink(missing_ok=True)
                study = start(path, words=place)
                if struck:
                    outcome.seconds.append(recorded_again(path, struck, study))
                struck = 0 if outcome.injections >= repeats else fill(study, path, moments)
                if not struck:
                    break
                outcome.injections += 1
                said = errors.read_text()
                assert study.returncode == 2, said
                assert said.count("no space left on the disk of") == 1, said
                assert "Traceback" not in said
                (disk / "filler").unlink()
            assert study.wait(timeout=300) == 0, errors.read_text()
            outcome.compare(path, reference)
        if outcome.injections >= repeats:
            return outcome
    raise AssertionError


def fill(study: subprocess.Popen[str], path: Path, moments: random.Random) -> int:
    """When the disk was full, in ns; 0 if the study ended well before."""
    next_epoch(path, study)
    time.sleep(moments.uniform(0, 3))
    at = time.time_ns()
    left = moments.randrange(0, 300_000)
    with (path.parent / "filler").open("wb", buffering=0) as filler:
        while (free := shutil.disk_usage(path).free) > left:
            filler.write(b"\0" * min(free - left, 1 << 20))
    if study.wait(timeout=120) == 0:
        (path.parent / "filler").unlink()
        return 0
    return at


@pytest.mark.root
@no_mounts
def test_a_full_disk_ends_the_study_which_goes_on_once_there_is_space(reference, tmp_path):
    fill_disk(tmp_path, reference, seeded(), 1).assert_nothing_lost(1)
