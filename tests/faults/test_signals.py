"""A study is told to stop (Ctrl-C, SIGTERM), again and again, and goes on each time."""

import random
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.faults.lab import Outcome, newest, seeded, start, stores, wait_for
from tests.studies.conftest import ROOT, study_command

LIMIT_S = 10.0
BEGUN = "24 trials: "


def stop_studies(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Stop studies at random moments until it has been done ``repeats`` times; ``seconds`` is how
    long they take to stop.
    """
    outcome = Outcome()
    for store in stores(folder):
        while True:
            words = store.with_suffix(".out")
            said = words.read_text().count(BEGUN) if words.exists() else 0
            study = start(store)
            wait_for(lambda path=words, n=said: path.read_text().count(BEGUN) > n, "it to begin")
            if outcome.injections < repeats and told_to_stop(study, store, moments, outcome):
                continue
            assert study.wait(timeout=600) == 0, store.with_suffix(".err").read_text()
            break
        outcome.compare(store, reference)
        if outcome.injections >= repeats:
            return outcome
    raise AssertionError


def told_to_stop(
    study: subprocess.Popen[str], store: Path, moments: random.Random, outcome: Outcome
) -> bool:
    """Tell it at a random moment after its first epoch; False if it ended before.

    While Ray starts, in the seconds before, a signal was seen to end a study with 15 or -11 and
    without a word; it loses nothing, and is not tried here.
    """
    words = store.with_suffix(".err")
    said = len(words.read_text())
    before = newest(store)
    wait_for(lambda: newest(store) > before or study.poll() is not None, "an epoch")
    time.sleep(moments.uniform(0, 5))
    if study.poll() is not None:
        return False
    children = psutil.Process(study.pid).children(recursive=True)
    name = ("SIGINT", "SIGTERM")[outcome.injections % 2]
    told = time.monotonic()
    study.send_signal(getattr(signal, name))
    if study.wait(timeout=60) == 0:  # it was through and only had to say so
        return False
    outcome.injections += 1
    outcome.seconds.append(time.monotonic() - told)
    outcome.notes[name] += 1
    outcome.notes[f"more than {LIMIT_S:.0f} s to stop"] += outcome.seconds[-1] > LIMIT_S
    assert study.returncode == 130, words.read_text()[said:]
    assert "the same command goes on where it stopped" in words.read_text()[said:]
    assert "Traceback" not in words.read_text()[said:]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    return True


def test_a_study_that_is_told_to_stop_goes_on(reference, tmp_path):
    outcome = stop_studies(tmp_path, reference, seeded(), 2)
    outcome.assert_nothing_lost(2)
    assert max(outcome.seconds) < LIMIT_S


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
