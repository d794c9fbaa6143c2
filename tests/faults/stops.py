"""All processes of a study are stopped (SIGSTOP) for longer than a worker may hang, and go on."""

import random
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.lab import Outcome, disturbed, newest, pause, start, stores, wait_for

LIMIT_S = 12.0


def stop_and_continue(
    folder: Path, reference: Path, moments: random.Random, repeats: int
) -> Outcome:
    """Stop and continue studies at random moments; no worker may be ended for it."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        study = start(store, "--stall-minutes", str(LIMIT_S / 60))
        wait_for(lambda path=store: newest(path), "a first epoch")

        def stop(study=study):
            driver = psutil.Process(study.pid)
            everyone = [driver, *driver.children(recursive=True)]
            for process in everyone:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            time.sleep(1.5 * LIMIT_S)
            for process in everyone:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

        disturbed(study, store, outcome, repeats, lambda: pause(moments, 5), stop)
        said = store.with_suffix(".err").read_text()
        outcome.notes["workers ended"] += said.count("its worker is ended")
        outcome.compare(store, reference)
    return outcome
