"""The driver, or its raylet, is killed with -9 at random moments; the same command goes on."""

import random
import subprocess
import time
from functools import partial
from pathlib import Path

import psutil

from tests.faults.lab import Outcome, interrupted, next_epoch, seeded, start, stores

STARTUP_S = 6.0  # imports and Ray's start: before that there is little to disturb


def interrupt_driver(
    folder: Path, reference: Path, moments: random.Random, repeats: int, how: str
) -> Outcome:
    """Kill the "driver" or its "raylet", and run the command again."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        interrupted(
            partial(start, store), store, outcome, repeats,
            lambda study, path=store: strike(study, path, moments, how, outcome),
        )  # fmt: skip
        outcome.compare(store, reference)
    return outcome


def strike(
    study: subprocess.Popen[str], store: Path, moments: random.Random, how: str, outcome: Outcome
) -> int:
    """Wait for a random moment, then do it; when, in ns, or 0 if the study ended before."""
    early = moments.random() < 0.2  # in the start-up too
    if not early:
        next_epoch(store, study)
    until = time.monotonic() + moments.uniform(0, STARTUP_S if early else 5)
    while time.monotonic() < until and study.poll() is None:
        time.sleep(0.005)
    victim = raylet_of(study) if how == "raylet" else study
    if victim is None:
        return strike(study, store, moments, how, outcome) if study.poll() is None else 0
    if study.poll() is not None:
        return 0
    at, moment = time.time_ns(), time.monotonic()
    victim.kill()
    code = study.wait(timeout=90)
    if code == 0:  # it was through
        return 0
    outcome.notes[f"exit status {code}"] += 1
    outcome.longest_stop_s = max(outcome.longest_stop_s, time.monotonic() - moment)
    return at


def raylet_of(study: subprocess.Popen[str]) -> psutil.Process | None:
    try:
        children = psutil.Process(study.pid).children()
        return next((each for each in children if each.name() == "raylet"), None)
    except psutil.NoSuchProcess:
        return None


def test_a_driver_killed_at_random_moments_changes_nothing(reference, tmp_path):
    outcome = interrupt_driver(tmp_path, reference, seeded(), 2, "driver")
    outcome.assert_nothing_lost(2)
    assert set(outcome.notes) == {"exit status -9"}


def test_a_raylet_killed_ends_the_study_which_goes_on(reference, tmp_path):
    outcome = interrupt_driver(tmp_path, reference, seeded(), 1, "raylet")
    outcome.assert_nothing_lost(1)
    assert set(outcome.notes) == {"exit status 2"}
    assert "the same command goes on" in (tmp_path / "store-1.err").read_text()
