"""The wall clock is set back under a running study, for all of its processes (clock.c)."""

import random
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.lab import Outcome, recorded_again, seeded, start, stores, wait_for

SOURCE = Path(__file__).with_name("clock.c")


def set_clock_back(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Set it back by up to a day at random moments until it has been done ``repeats`` times."""
    outcome = Outcome()
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
    for store in stores(folder):
        clock = folder / f"{store.name}.clock"
        clock.write_bytes(struct.pack("q", 0))
        study = start(store, env={"LD_PRELOAD": str(library), "FAULT_CLOCK": str(clock)})
        wait_for(lambda path=store: (path / "writer.lock").exists(), "the store")
        back = 0
        while outcome.injections < repeats:
            time.sleep(moments.uniform(0, 3))
            if study.poll() is not None:
                break
            back += moments.randrange(60, 86_400)
            set_back = time.time_ns()
            with clock.open("r+b") as offset:
                offset.write(struct.pack("q", -back))
            outcome.injections += 1
            outcome.seconds.append(recorded_again(store, set_back, study))
        assert study.wait(timeout=600) == 0, store.with_suffix(".err").read_text()
        outcome.compare(store, reference)
        if outcome.injections >= repeats:
            return outcome
    raise AssertionError


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler, for a clock of its own")
def test_a_clock_that_is_set_back_changes_nothing(reference, tmp_path):
    outcome = set_clock_back(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
