"""A worker is killed with -9 in each of the phases of a trial, or hangs in one."""

import os
import random
import signal
import time
from pathlib import Path

import psutil

from tests.faults.lab import (
    HANG_S,
    Driver,
    Outcome,
    pause,
    recorded_again,
    said_by,
    seeded,
    start,
    stores,
)
from tests.studies.conftest import ROOT

HANGS = "hangs in train"
PHASES = ("train", "evaluate", "checkpoint", "Parquet", HANGS)
STALL_MINUTES = 0.2
_WRITES = {"checkpoint": [".checkpoint.pt."], "Parquet": [".dynamics.parquet.", ".scores.parquet."]}
_LONGEST_S = {"train": 0.15, HANGS: 0.15, "evaluate": 0.3, "checkpoint": 0.008, "Parquet": 0.004}


def kill_workers(
    folder: Path, reference: Path, moments: random.Random, repeats: int
) -> dict[str, Outcome]:
    """Kill workers ``repeats`` times in each phase, the phases in turn; or stop them for good."""
    outcomes = {phase: Outcome() for phase in PHASES}
    left = [phase for _ in range(repeats) for phase in PHASES]
    for store in stores(folder, lambda: left):
        marks = folder / f"{store.name}.marks"
        marks.mkdir(parents=True)
        path = os.pathsep.join([str(ROOT / "tests" / "faults" / "marks"), str(ROOT)])
        options = ["--retries", "100", "--stall-minutes", str(STALL_MINUTES)]
        study = start(store, *options, env={"PYTHONPATH": path, "FAULT_MARKS": str(marks)})
        hit = set()
        while left and (at := kill_within(left[0], store, marks, moments, study)):
            phase = left.pop(0)
            hit.add(phase)
            outcomes[phase].injections += 1
            outcomes[phase].seconds.append(recorded_again(store, at, study))
        assert study.wait(timeout=HANG_S) == 0, said_by(store)
        for phase in hit:
            outcomes[phase].compare(store, reference)
    return outcomes


def kill_within(
    phase: str, store: Path, marks: Path, moments: random.Random, study: Driver
) -> int | None:
    """Kill a worker in the middle of a phase; when, in ns, or None if the study ended first.

    It is stopped at a random moment, looked at, and killed only if the phase was not over: a file
    that exists as long as the phase says so. Of a write that is its own temporary file. One that
    is to hang stays stopped.
    """
    looked = time.monotonic() + pause(moments, 1)
    while study.poll() is None:
        found = signs(phase, store, marks) if time.monotonic() > looked else []
        if not found:
            time.sleep(0.0002)
            continue
        sign = moments.choice(found)
        time.sleep(moments.uniform(0, _LONGEST_S[phase]))
        pid = int(sign.name.rpartition(".")[2])
        try:
            worker = psutil.Process(pid)
            worker.suspend()
            if sign.exists():
                at = time.time_ns()
                if phase != HANGS:
                    worker.send_signal(signal.SIGKILL)
                return at
            worker.resume()
        except psutil.NoSuchProcess:  # it was killed before, and its file is still there
            sign.unlink(missing_ok=True)
    return None


def signs(phase: str, store: Path, marks: Path) -> list[Path]:
    if phase not in _WRITES:
        return [*marks.glob(f"{phase.removeprefix('hangs in ')}.*")]
    trials = store / "trials"
    if not trials.exists():
        return []
    return [
        Path(each.path)
        for folder in os.scandir(trials)
        for each in os.scandir(folder)
        if each.name.startswith(tuple(_WRITES[phase]))
    ]


def test_a_worker_killed_in_any_phase_changes_nothing(reference, tmp_path):
    for outcome in kill_workers(tmp_path, reference, seeded(), 1).values():
        outcome.assert_nothing_lost(1)
