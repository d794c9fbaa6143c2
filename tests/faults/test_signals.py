"""A study is told to stop (Ctrl-C, SIGTERM), again and again, and goes on each time."""

import random
import shutil
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.lab import (
    HANG_S,
    Driver,
    Outcome,
    finish,
    interrupted,
    next_epoch,
    pause,
    seeded,
    start,
    stores,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("interruptions")
TO_ALL = "SIGTERM to all"
"""To the study and all that it has started, and once more to itself: as ``timeout`` does."""
NAMES = ("SIGINT", "SIGTERM", TO_ALL)


def stop_studies(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Stop studies at random moments until it has been done ``repeats`` times."""
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        interrupted(
            partial(start, store), store, outcome, repeats,
            lambda study, path=store: told_to_stop(
                study, path, path, moments, outcome, NAMES[outcome.injections % 3]
            ),
        )  # fmt: skip
        outcome.compare(store, reference)
    return outcome


def stop_starts(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Stop one study at random moments while Ray starts, ``repeats`` times; then let it run."""
    outcome = Outcome()
    store = folder / "store"
    for begun in range(repeats):
        before = said_before_ray(store)
        study = start(store)
        assert told_to_stop_while_ray_starts(
            study, store, before, moments, outcome, NAMES[begun % 2]
        ), "it ended within 8 s"
        outcome.injections += 1
    finish(store, outcome, reference)
    return outcome


def told_to_stop(
    study: Driver, store: Path, words: Path, moments: random.Random, outcome: Outcome, name: str
) -> int:
    """Tell it at a random moment after its first epoch; when, in ns, or 0 if it ended before.

    ``words`` is what it was started with.
    """
    said = errors_so_far(words)
    next_epoch(store, study)
    time.sleep(pause(moments, 5))
    at = time.time_ns()
    return 0 if stopped(study, words, outcome, said, name) is None else at


def told_to_stop_while_ray_starts(
    study: Driver, words: Path, before: int, moments: random.Random, outcome: Outcome, name: str
) -> int:
    """The same, at a random moment after it has said what is left to do for the ``before + 1``st
    time, which it does just before it starts Ray.
    """
    said = errors_so_far(words)
    wait_for(lambda: said_before_ray(words) > before or study.poll() is not None, "Ray's start")
    time.sleep(pause(moments, 8))
    at = time.time_ns()
    took = stopped(study, words, outcome, said, name)
    outcome.seconds += [] if took is None else [took]
    return 0 if took is None else at


def said_before_ray(words: Path) -> int:
    out = words.with_suffix(".out")
    return out.read_text().count("done before") if out.exists() else 0


def told_to_stop_at_once(
    study: Driver, store: Path, words: Path, outcome: Outcome, name: str
) -> int:
    """The same, as soon as it has the store."""
    said = errors_so_far(words)
    wait_for(lambda: (store / "writer.lock").exists(), "the store")
    at = time.time_ns()
    return 0 if stopped(study, words, outcome, said, name) is None else at


def errors_so_far(words: Path) -> int:
    errors = words.with_suffix(".err")
    return len(errors.read_text()) if errors.exists() else 0


def stopped(study: Driver, words: Path, outcome: Outcome, said: int, name: str) -> float | None:
    """Tell it to stop; the seconds that took, or None if it was through before.

    Its errors before ``said`` are those of earlier starts.
    """
    words = words.with_suffix(".err")
    if study.poll() is not None:
        return None
    children = psutil.Process(study.pid).children(recursive=True)
    told = time.monotonic()
    if name == TO_ALL:
        study.send_signal(signal.SIGTERM)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.terminate()
    study.send_signal(getattr(signal, name.partition(" ")[0]))
    if study.wait(timeout=HANG_S) == 0:  # it was through and only had to say so
        return None
    took = time.monotonic() - told
    outcome.longest_stop_s = max(outcome.longest_stop_s, took)
    outcome.notes[name] += 1
    assert study.returncode == 130, words.read_text()[said:]
    assert "the same command goes on where it stopped" in words.read_text()[said:]
    assert "Traceback" not in words.read_text()[said:], words.read_text()[said:]
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    return took


@pytest.mark.parametrize("when", ["at its start", "while Ray starts", "while it trains"])
def test_a_study_that_is_told_to_stop_says_so_and_goes_on(interrupted_study, when):
    interrupted_study.total.assert_nothing_lost(1)
    told = interrupted_study.by_fault[f"told to stop {when}"]
    assert sum(told.notes[name] for name in NAMES) == 1
    assert interrupted_study.left_behind[f"told to stop {when}"] == []


def test_a_signal_after_the_last_word_is_no_crash(reference, tmp_path):
    """It is a Python of its own that ends here: torch and Ray take a while to be left."""
    name = seeded().choice(NAMES[:2])  # from here on both go the same way
    words, store = tmp_path / "study", tmp_path / "store"
    shutil.copytree(reference, store, symlinks=True)
    before = {file: file.stat().st_mtime_ns for file in (store / "trials").rglob("*.parquet")}
    study = start(store, words=words, forked=False)
    out = words.with_suffix(".out")
    wait_for(lambda: "\nMLflow " in out.read_text() or study.poll() is not None, "its last words")
    study.send_signal(getattr(signal, name))
    status = study.wait(timeout=HANG_S)
    errors = words.with_suffix(".err").read_text()
    assert status in (0, 130), errors  # it may not have left its own code yet
    assert "Traceback" not in errors, errors
    assert "4 trials: 4 done before, 0 to run" in out.read_text()
    assert {file: file.stat().st_mtime_ns for file in before} == before  # it trained nothing
