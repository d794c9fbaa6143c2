"""A study is told to stop (Ctrl-C, SIGTERM), again and again, and goes on each time."""

import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.lab import (
    Outcome,
    finish,
    interrupted,
    next_epoch,
    seeded,
    start,
    stores,
    wait_for,
)

LIMIT_S = 10.0


def stop_studies(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Stop studies at random moments until it has been done ``repeats`` times."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        interrupted(
            partial(start, store), store, outcome, repeats,
            lambda study, path=store: told_to_stop(study, path, moments, outcome),
        )  # fmt: skip
        outcome.compare(store, reference)
    return outcome


def stop_starts(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Stop one study at random moments while Ray starts, ``repeats`` times; then let it run."""
    outcome = Outcome()
    store = folder / "store"
    words = store.with_suffix(".out")
    for begun in range(1, repeats + 1):
        study = start(store)
        said = errors_so_far(store)
        wait_for(
            lambda count=begun: words.read_text().count("done before") == count, "Ray to be started"
        )
        time.sleep(moments.uniform(0, 8))
        took = stopped(study, store, outcome, said)
        assert took is not None, "it ended within 8 s"
        outcome.seconds.append(took)
        outcome.injections += 1
    finish(store, outcome, reference)
    return outcome


def told_to_stop(
    study: subprocess.Popen[str], store: Path, moments: random.Random, outcome: Outcome
) -> int:
    """Tell it at a random moment after its first epoch; when, in ns, or 0 if it ended before."""
    said = errors_so_far(store)
    next_epoch(store, study)
    time.sleep(moments.uniform(0, 5))
    at = time.time_ns()
    return 0 if stopped(study, store, outcome, said) is None else at


def errors_so_far(store: Path) -> int:
    return len(store.with_suffix(".err").read_text())


def stopped(study: subprocess.Popen[str], store: Path, outcome: Outcome, said: int) -> float | None:
    """Tell it to stop; the seconds that took, or None if it was through before.

    Its errors before ``said`` are those of earlier starts.
    """
    words = store.with_suffix(".err")
    if study.poll() is not None:
        return None
    children = psutil.Process(study.pid).children(recursive=True)
    name = ("SIGINT", "SIGTERM")[outcome.injections % 2]
    told = time.monotonic()
    study.send_signal(getattr(signal, name))
    if study.wait(timeout=60) == 0:  # it was through and only had to say so
        return None
    took = time.monotonic() - told
    outcome.longest_stop_s = max(outcome.longest_stop_s, took)
    outcome.notes[name] += 1
    assert study.returncode == 130, words.read_text()[said:]
    assert "the same command goes on where it stopped" in words.read_text()[said:]
    assert "Traceback" not in words.read_text()[said:], words.read_text()[said:]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    return took


def test_a_study_that_is_told_to_stop_goes_on(reference, tmp_path):
    outcome = stop_studies(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.longest_stop_s < LIMIT_S


def test_a_study_that_is_told_to_stop_while_ray_starts_goes_on(reference, tmp_path):
    outcome = stop_starts(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.longest_stop_s < LIMIT_S


def test_a_signal_before_anything_runs_is_no_traceback(tmp_path):
    store = tmp_path / "store"
    study = start(store)
    wait_for(lambda: (store / "writer.lock").exists(), "the store")
    study.send_signal(signal.SIGINT)
    assert study.wait(timeout=60) == 130
    errors = store.with_suffix(".err").read_text()
    assert "Traceback" not in errors, errors


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_after_the_last_word_is_no_crash(reference, tmp_path, name):
    words = tmp_path / "study"
    study = start(reference, words=words)
    wait_for(lambda: "\nMLflow " in words.with_suffix(".out").read_text(), "its last words")
    study.send_signal(getattr(signal, name))  # torch and Ray take a while to be left
    status = study.wait(timeout=60)
    errors = words.with_suffix(".err").read_text()
    assert status in (0, 130), errors  # it may not have left its own code yet
    assert "Traceback" not in errors, errors
