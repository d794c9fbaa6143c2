"""A worker is refused memory, or killed for it by the kernel: its trial is tried once more in a
fresh one, then given up and named.

The kernel counts whom it kills for the whole machine: nothing else may let it kill meanwhile.
"""

import json
import random
import resource
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from studies.trial.failures import kills_for_memory
from tests.faults.cgroup import absent, put, tight_group
from tests.faults.lab import (
    HANG_S,
    Driver,
    Outcome,
    next_epoch,
    pause,
    recorded_again,
    said_by,
    start,
    stores,
    wait_for,
)
from tests.studies.conftest import OPTIONS, TOY, rows, workers
from tests.studies.toy import NEVER_FITS
from tracking import open_store

# The kernel counts its kills for the whole host: a worker that another test kills meanwhile would
# seem to have died for want of memory.
pytestmark = pytest.mark.alone


GIVEN_BACK = {"MALLOC_TRIM_THRESHOLD_": "131072"}
"""Or a worker would have kept enough of what it had, and never ask the kernel for more."""

SMALL = TOY[: TOY.index(f"method_options={OPTIONS}") - 1]  # an axis of that study

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
        study = start(path, "--retries", "100", env=GIVEN_BACK)
        struck: set[int] = set()
        while outcome.injections < repeats and study.poll() is None:
            next_epoch(path, study)
            time.sleep(pause(moments, 1))
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
        assert study.wait(timeout=HANG_S) == 0, said_by(path)
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


@pytest.fixture(scope="module")
def study(reference, tmp_path_factory):
    """A study of which every trial meets another end; its store, and the trials by their fate.

    One after another, in fresh workers: each trial but the last is struck in its first attempt as
    soon as it is under way, the last one wants more memory than there is, twice.
    """
    path = tmp_path_factory.mktemp("memory") / "store"
    fates: dict[str, Path] = {}
    with tight_group() if not absent() else nullcontext() as group:
        study = start(path, "--retries", "5", toy=SMALL, study="ONE_NEVER_FITS", env=GIVEN_BACK)
        strikes: dict[str, Callable[[psutil.Process], object]] = {
            "refused": forbid_to_grow,
            "refused, aborts": abort_without_memory,
        }
        if group is not None:
            strikes["killed once"] = partial(kill_by_kernel, group=group)
            strikes["killed twice"] = partial(kill_by_kernel, group=group)
        for fate, strike in strikes.items():
            for attempt in range(1, 3 if "twice" in fate else 2):
                fates[fate], worker = under_way(study, fates, attempt)
                strike(worker)
                wait_for(partial(over, fates[fate], attempt, study), f"the end of {fate}")
        assert study.wait(timeout=HANG_S) == 1, said_by(path)
    return path, fates


def abort_without_memory(worker: psutil.Process) -> None:
    forbid_to_grow(worker)
    worker.send_signal(signal.SIGABRT)  # as C++ does that is refused memory
    worker.wait(timeout=HANG_S)  # gone at once: Ray's own handler would abort again, without end


def under_way(study: Driver, fates: dict[str, Path], attempt: int) -> tuple[Path, psutil.Process]:
    """A trial on this attempt, that had no other fate unless it is the second, and its worker."""
    others = [trial for fate, trial in fates.items() if attempt == 1 or "twice" not in fate]

    def found() -> tuple[Path, psutil.Process] | None:
        assert study.poll() is None, "the study has ended"
        for worker in workers(study):
            for trial in trials_of(worker):
                if trial not in others and state_of(trial)["attempts"] == attempt:
                    return trial, worker
        return None

    return wait_for(found, f"a trial on attempt {attempt}", HANG_S)


def over(trial: Path, attempt: int, study: Driver) -> bool:
    """Whether this attempt has ended, be it well."""
    state = state_of(trial)
    ended = state["attempts"] > attempt or state["status"] in ("finished", "failed")
    return ended or study.poll() is not None


@pytest.mark.parametrize("fate", ["refused", "refused, aborts", "killed once"])
def test_a_worker_without_memory_costs_its_trial_one_attempt(study, reference, fate):
    """Refused by the kernel, which it says itself; aborted for that; killed by the kernel."""
    path, fates = study
    if "killed" in fate and absent():
        pytest.skip(absent())
    assert state_of(fates[fate])["status"] == "finished"
    assert state_of(fates[fate])["attempts"] == 2
    same_as_undisturbed(path, reference, fates[fate].name)


def same_as_undisturbed(path: Path, reference: Path, trial: str) -> None:
    for name in ("dynamics", "scores"):
        ours, theirs = (
            getattr(open_store(each).trial(trial), name)() for each in (path, reference)
        )
        assert ours.num_rows
        assert rows(ours) == rows(theirs)


@pytest.mark.root
@needs_cgroup
def test_a_trial_that_the_kernel_kills_twice_is_named_and_stops_no_other(study):
    path, fates = study
    state = state_of(fates["killed twice"])
    assert (state["status"], state["attempts"]) == ("failed", 2)
    assert state["message"].startswith("out of memory: its worker died 2 times, the last ")
    assert "--gpus-per-trial" in state["message"]
    statuses = [state_of(each)["status"] for each in path.glob("trials/*")]
    assert sorted(statuses) == ["failed", "failed", "finished", "finished", "finished"]


def test_a_trial_that_never_fits_is_tried_twice_and_says_what_would_help(study):
    path, _ = study
    (trial,) = (
        each
        for each in path.glob("trials/*")
        if str(NEVER_FITS) in (each / "config.json").read_text()
    )
    state = state_of(trial)
    assert (state["status"], state["attempts"]) == ("failed", 2)
    assert state["message"].startswith("out of memory: RuntimeError: ")
    assert "--gpus-per-trial" in state["message"]
    assert "out of memory: RuntimeError: " in path.with_suffix(".out").read_text()
