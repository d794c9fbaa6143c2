"""The wall clock is set back under a running study, for all of its processes (clock.c)."""

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.faults.lab import Outcome, disturbed, newest, pause, seeded, start, stores, wait_for

SOURCE = Path(__file__).with_name("clock.c")


def set_clock_back(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Set it back by up to a day at random moments until it has been done ``repeats`` times."""
    outcome = Outcome()
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
    for store in stores(folder, lambda: outcome.injections < repeats):
        clock = folder / f"{store.name}.clock"
        set_to(clock, 0)
        environment = {"LD_PRELOAD": str(library), "FAULT_CLOCK": str(clock)}
        study = start(store, env=environment, forked=False)
        back = 0
        wait_for(lambda path=store: newest(path), "a first epoch")  # Ray has started

        def set_back(clock=clock):
            nonlocal back
            back += moments.randrange(60, 86_400)
            set_to(clock, -back)

        disturbed(study, store, outcome, repeats, lambda: pause(moments, 3), set_back)
        outcome.compare(store, reference)
    return outcome


def set_to(clock: Path, seconds: int) -> None:
    """In place: the study's processes have mapped the file."""
    with clock.open("r+b" if clock.exists() else "wb") as offset:
        offset.write(struct.pack("q", seconds))


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler, for a clock of its own")
def test_a_clock_that_is_set_back_changes_nothing(reference, tmp_path):
    outcome = set_clock_back(tmp_path, reference, seeded(), 1)
    outcome.assert_nothing_lost(1)
