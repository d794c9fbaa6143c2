"""A study is told to stop (Ctrl-C, SIGTERM), again and again, and goes on each time."""

import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import psutil

from tests.faults.lab import Outcome, interrupted, next_epoch, seeded, start, stores, wait_for
from tests.studies.conftest import ROOT, study_command

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


def told_to_stop(
    study: subprocess.Popen[str], store: Path, moments: random.Random, outcome: Outcome
) -> int:
    """Tell it at a random moment after its first epoch; when, in ns, or 0 if it ended before.

    While Ray starts, in the seconds before, a signal was seen to end a study with 15 or -11 and
    without a word; it loses nothing, and is not tried here.
    """
    words = store.with_suffix(".err")
    said = len(words.read_text())
    next_epoch(store, study)
    time.sleep(moments.uniform(0, 5))
    if study.poll() is not None:
        return 0
    children = psutil.Process(study.pid).children(recursive=True)
    name = ("SIGINT", "SIGTERM")[outcome.injections % 2]
    at, told = time.time_ns(), time.monotonic()
    study.send_signal(getattr(signal, name))
    if study.wait(timeout=60) == 0:  # it was through and only had to say so
        return 0
    outcome.longest_stop_s = max(outcome.longest_stop_s, time.monotonic() - told)
    outcome.notes[name] += 1
    assert study.returncode == 130, words.read_text()[said:]
    assert "the same command goes on where it stopped" in words.read_text()[said:]
    assert "Traceback" not in words.read_text()[said:]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    return at


def test_a_study_that_is_told_to_stop_goes_on(reference, tmp_path):
    outcome = stop_studies(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert outcome.longest_stop_s < LIMIT_S


def test_a_signal_before_anything_runs_is_no_traceback(tmp_path):
    study = subprocess.Popen(
        study_command(tmp_path / "store"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (tmp_path / "store" / "writer.lock").exists(), "the store")
    study.send_signal(signal.SIGINT)
    _, errors = study.communicate(timeout=60)
    assert study.returncode == 130
    assert "Traceback" not in errors
