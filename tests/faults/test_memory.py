"""A worker is refused memory, or killed for it by the kernel: its trial is tried once more in a
fresh one, then given up and named.
"""

import json
import random
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from studies.memory import kills_for_memory
from tests.faults.cgroup import absent, put, tight_group
from tests.faults.lab import Outcome, next_epoch, recorded_again, seeded, start, stores, wait_for
from tests.studies.conftest import run_study, workers

NEVER_FITS = 'method_options={"projector_dim":32,"predictor_dim":20000000000}'  # terabytes
needs_cgroup = pytest.mark.skipif(bool(absent()), reason=absent())


def refuse_memory(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Forbid a worker at a random moment to grow any further, again and again."""
    return strike_workers(folder, reference, moments, repeats, forbid_to_grow)


def kill_for_memory(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Have the kernel kill a worker for its memory at a random moment, again and again."""
    before = kills_for_memory()
    with tight_group() as group:
        strike = partial(kill_by_kernel, group=group)
        outcome = strike_workers(folder, reference, moments, repeats, strike)
    outcome.notes["killed by the kernel"] = kills_for_memory() - before
    return outcome


def forbid_to_grow(worker: psutil.Process) -> bool:
    worker.rlimit(resource.RLIMIT_DATA, (1, 1))
    return True


def kill_by_kernel(worker: psutil.Process, group: Path) -> bool:
    before = kills_for_memory()
    put(worker, group)
    with suppress(psutil.TimeoutExpired):  # so far what it has is enough
        worker.wait(timeout=10)
    return kills_for_memory() > before


def strike_workers(
    folder: Path,
    reference: Path,
    moments: random.Random,
    repeats: int,
    strike: Callable[[psutil.Process], bool],
) -> Outcome:
    """Strike those whose trial is on its first attempt: by design a second time fails it.

    ``strike`` says whether it had an effect.
    """
    outcome = Outcome()
    for path in stores(folder, lambda: outcome.injections < repeats):
        study = start(path, "--retries", "100")
        struck: set[int] = set()
        while outcome.injections < repeats and study.poll() is None:
            next_epoch(path, study)
            time.sleep(moments.uniform(0, 1))
            try:
                free = [
                    each
                    for each in workers(study)
                    if each.pid not in struck and on_first_attempt(each)
                ]
                if not free:
                    continue
                worker = moments.choice(free)
                struck.add(worker.pid)
                if not strike(worker):
                    continue
            except (psutil.NoSuchProcess, FileNotFoundError):  # study, worker or trial just ended
                continue
            at = time.time_ns()
            outcome.injections += 1
            outcome.seconds.append(recorded_again(path, at, study))
        assert study.wait(timeout=300) == 0, path.with_suffix(".out").read_text()
        for trial in path.glob("trials/*"):
            outcome.notes["trials tried again"] += state_of(trial)["attempts"] > 1
        outcome.compare(path, reference)
    return outcome


def on_first_attempt(worker: psutil.Process) -> bool:
    return any(state_of(trial)["attempts"] == 1 for trial in trials_of(worker))


def trials_of(worker: psutil.Process) -> list[Path]:
    """Folders of the trials whose lock it holds: one, or none between two trials."""
    return [Path(each.path).parent for each in worker.open_files() if each.path.endswith("/.lock")]


def state_of(trial: Path) -> dict:
    return json.loads((trial / "status.json").read_text())


def test_a_worker_that_is_refused_memory_changes_nothing(reference, tmp_path):
    outcome = refuse_memory(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.notes["trials tried again"]


def test_a_worker_without_memory_that_aborts_is_gone_at_once(tmp_path):
    study = start(tmp_path / "store", "--classes", "3")
    worker = wait_for(lambda: [each for each in workers(study) if trials_of(each)], "a trial")[0]
    forbid_to_grow(worker)
    worker.send_signal(signal.SIGABRT)  # as C++ does that is refused memory
    worker.wait(timeout=30)
    assert study.wait(timeout=300) == 0


@pytest.mark.root
@needs_cgroup
def test_a_worker_that_the_kernel_kills_for_memory_changes_nothing(reference, tmp_path):
    outcome = kill_for_memory(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.notes["killed by the kernel"] >= 2
    assert outcome.notes["trials tried again"]


@pytest.mark.root
@needs_cgroup
def test_a_trial_that_the_kernel_kills_twice_is_named_and_stops_no_other(tmp_path):
    path = tmp_path / "store"
    with tight_group() as group:
        study = start(path, "--classes", "3", "--retries", "100")
        victim: set[Path] = set()

        def strike() -> bool:
            for worker in workers(study):
                if trials := trials_of(worker):
                    victim.update(trials[:1] if not victim else ())
                    if victim & {*trials}:
                        put(worker, group)
            return study.poll() is not None

        wait_for(strike, "the study's end")
    assert study.returncode == 1
    (trial,) = victim
    for each in path.glob("trials/*"):
        assert state_of(each)["status"] == ("failed" if each == trial else "finished")
    state = state_of(trial)
    assert state["attempts"] == 2
    assert state["message"].startswith("out of memory: its worker died 2 times, the last ")
    assert "--gpus-per-trial" in state["message"]


def test_a_trial_that_never_fits_is_tried_twice_and_says_what_would_help(tmp_path):
    path = tmp_path / "store"
    done = run_study(path, "--set", NEVER_FITS, "--classes", "3", "--retries", "5")
    assert done.returncode == 1
    states = [state_of(each) for each in path.glob("trials/*")]
    assert len(states) == 8
    for state in states:
        assert state["status"] == "failed"
        assert state["attempts"] == 2
        assert state["message"].startswith("out of memory: RuntimeError: ")
        assert "--gpus-per-trial" in state["message"]
    assert done.stdout.count(": out of memory: ") == 8
