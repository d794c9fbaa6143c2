"""The driver, its raylet, or its gcs_server, is killed with -9 at random moments; the same command
goes on.
"""

import random
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.lab import HANG_S, Driver, Outcome, interrupted, next_epoch, pause, start, stores

pytestmark = pytest.mark.xdist_group("interruptions")

STARTUP_S = 6.0  # imports and Ray's start: before that there is little to disturb


def interrupt_driver(
    folder: Path, reference: Path, moments: random.Random, repeats: int, how: str
) -> Outcome:
    """Kill the "driver", or its "raylet" or "gcs_server", and run the command again."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        interrupted(
            partial(start, store), store, outcome, repeats,
            lambda study, path=store: strike(study, path, moments, how, outcome),
        )  # fmt: skip
        outcome.compare(store, reference)
    return outcome


def strike(study: Driver, store: Path, moments: random.Random, how: str, outcome: Outcome) -> int:
    """Wait for a random moment, then do it; when, in ns, or 0 if the study ended before."""
    early = moments.random() < 0.2  # in the start-up too
    if not early:
        next_epoch(store, study)
    until = time.monotonic() + pause(moments, STARTUP_S if early else 5)
    while time.monotonic() < until and study.poll() is None:
        time.sleep(0.005)
    victim = study if how == "driver" else child_of(study, how)
    if victim is None:
        return strike(study, store, moments, how, outcome) if study.poll() is None else 0
    if study.poll() is not None:
        return 0
    at, moment = time.time_ns(), time.monotonic()
    children = psutil.Process(study.pid).children(recursive=True) if how != "driver" else []
    victim.kill()
    code = study.wait(timeout=HANG_S)
    if code == 0:  # it was through
        return 0
    _, alive = psutil.wait_procs(children, timeout=30)  # without help some take over a minute
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    outcome.notes[f"exit status {code}"] += 1
    outcome.longest_stop_s = max(outcome.longest_stop_s, time.monotonic() - moment)
    return at


def child_of(study: Driver, name: str) -> psutil.Process | None:
    try:
        children = psutil.Process(study.pid).children()
        return next((each for each in children if each.name() == name), None)
    except psutil.NoSuchProcess:
        return None


def test_a_driver_that_is_killed_says_nothing_and_the_study_goes_on(interrupted_study):
    interrupted_study.total.assert_nothing_lost(1)
    assert set(interrupted_study.by_fault["driver killed"].notes) == {"exit status -9"}


@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_a_ray_that_is_killed_ends_the_study_which_goes_on(interrupted_study, process):
    interrupted_study.total.assert_nothing_lost(1)
    fault = f"{process} killed"
    assert set(interrupted_study.by_fault[fault].notes) == {"exit status 2"}
    said = interrupted_study.said[fault]
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert interrupted_study.left_behind[fault] == []
