"""A worker is refused memory: once more in a fresh one, then the trial is given up and named."""

import json
import random
import resource
import subprocess
import time
from pathlib import Path

import psutil

from tests.faults.lab import Outcome, next_epoch, recorded_again, seeded, start, stores
from tests.studies.conftest import run_study, workers

NEVER_FITS = 'method_options={"projector_dim":32,"predictor_dim":20000000000}'  # terabytes


def refuse_memory(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Forbid a worker at a random moment to grow any further, again and again.

    None whose trial is tried again already: by design a second refusal fails it.
    """
    outcome = Outcome()
    for path in stores(folder, lambda: outcome.injections < repeats):
        study = start(path, "--retries", "100")
        limited: set[int] = set()
        while outcome.injections < repeats and study.poll() is None:
            next_epoch(path, study)
            time.sleep(moments.uniform(0, 1))
            try:
                free = [
                    each
                    for each in workers(study)
                    if each.pid not in limited and on_first_attempt(each)
                ]
                if not free:
                    continue
                worker = moments.choice(free)
                worker.rlimit(resource.RLIMIT_DATA, (1, 1))
            except (psutil.NoSuchProcess, FileNotFoundError):  # study, worker or trial just ended
                continue
            at = time.time_ns()
            limited.add(worker.pid)
            outcome.injections += 1
            outcome.seconds.append(recorded_again(path, at, study))
        try:
            study.wait(timeout=90)
        except subprocess.TimeoutExpired:  # without any memory a worker was seen to spin for ever
            for worker in workers(study):
                if worker.pid in limited:
                    outcome.notes["stuck workers killed"] += 1
                    worker.kill()
        assert study.wait(timeout=300) == 0, path.with_suffix(".out").read_text()
        for status in path.glob("trials/*/status.json"):
            again = json.loads(status.read_text())["attempts"] - 1
            outcome.notes["trials tried again"] += again > 0
        outcome.compare(path, reference)
    return outcome


def on_first_attempt(worker: psutil.Process) -> bool:
    held = [Path(each.path) for each in worker.open_files() if each.path.endswith("/.lock")]
    states = [json.loads((each.parent / "status.json").read_text()) for each in held]
    return any(state["attempts"] == 1 for state in states)


def test_a_worker_that_is_refused_memory_changes_nothing(reference, tmp_path):
    outcome = refuse_memory(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.notes["trials tried again"]


def test_a_trial_that_never_fits_is_tried_twice_and_says_what_would_help(tmp_path):
    path = tmp_path / "store"
    done = run_study(path, "--set", NEVER_FITS, "--classes", "3", "--retries", "5")
    assert done.returncode == 1
    states = [json.loads(each.read_text()) for each in path.glob("trials/*/status.json")]
    assert len(states) == 8
    for state in states:
        assert state["status"] == "failed"
        assert state["attempts"] == 2
        assert state["message"].startswith("out of memory: RuntimeError: ")
        assert "--gpus-per-trial" in state["message"]
    assert done.stdout.count(": out of memory: ") == 8
