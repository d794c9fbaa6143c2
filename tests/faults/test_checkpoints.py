"""Checkpoints that are truncated, of another trial or version, or programs."""

import os
import random
import re
import time
from pathlib import Path

import pytest
import torch

from studies.plan.options import parser
from studies.plan.work import GridWork
from studies.trial.life import run_trial
from tests.faults.lab import (
    HANG_S,
    STUDY,
    Outcome,
    recorded_again,
    said_by,
    seeded,
    start,
    stores,
)
from tests.security.hostile import Trap
from tests.studies.conftest import TOY
from tests.studies.toy import STUDY as ABLATION
from tracking import Store, create_store

TRAP = "created by a checkpoint"


def spoil_checkpoints(
    folder: Path, reference: Path, moments: random.Random, repeats: int, how: str
) -> Outcome:
    """Spoil a checkpoint of half-trained trials, in one of the ways of ``SPOILERS``."""
    outcome = Outcome()
    for path in stores(folder, lambda: outcome.injections < repeats):
        store, halves = half_trained(path, repeats - outcome.injections, moments)
        for trial in halves:
            checkpoint = store.trial(trial).checkpoint
            SPOILERS[how](checkpoint, moments)
        study, at = start(path), time.time_ns()
        outcome.seconds.append(recorded_again(path, at, study))
        assert study.wait(timeout=HANG_S) == 0, said_by(path)
        warned = path.with_suffix(".err").read_text()
        for trial in halves:
            assert_set_aside(store, trial, warned)
        outcome.injections += len(halves)
        outcome.compare(path, reference)
    return outcome


def assert_set_aside(store: Store, trial: str, warned: str) -> None:
    (aside,) = store.trial(trial).folder.glob("checkpoint.pt.aside-*")
    assert f"trial {trial}: checkpoint " in warned
    assert f"it is now {aside.name}" in store.trial(trial).state()["set_aside"]


def half_trained(path: Path, count: int, moments: random.Random) -> tuple[Store, list[str]]:
    """A store of which some trials were cut off after their first checkpoint."""
    store = create_store(path)
    made = parser(ABLATION)
    work = GridWork(ABLATION, made.parse_args([*TOY, *STUDY, "--store", str(path)]))
    work.begin(store)
    trials = [*work.trial_ids(store)]
    chosen = moments.sample(trials, min(count, len(trials)))
    torch.set_num_threads(1)
    for trial in chosen:
        evaluations = run_trial(store.trial(trial), None, torch.device("cpu"))
        next(evaluations)
        next(evaluations)  # which makes it write what came before
        evaluations.close()
        assert store.trial(trial).checkpoint.exists()
    return store, chosen


def truncate(checkpoint: Path, moments: random.Random) -> None:
    os.truncate(checkpoint, moments.randrange(checkpoint.stat().st_size))


def of_another_configuration(checkpoint: Path, moments: random.Random) -> None:
    change(checkpoint, config="{}")


def of_another_version(checkpoint: Path, moments: random.Random) -> None:
    change(checkpoint, version=moments.choice([0, 2, None]))


def change(checkpoint: Path, **values) -> None:
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, **values}, checkpoint)


SPOILERS = {
    "truncated": truncate,
    "of another configuration": of_another_configuration,
    "of another version": of_another_version,
}


CODE = "that would run code"


@pytest.fixture(scope="module")
def spoiled(reference, tmp_path_factory):
    """A store whose trials were cut off, each with a checkpoint that is no good in its own way."""
    path = tmp_path_factory.mktemp("spoiled") / "store"
    target, moments = path.parent / TRAP, seeded()
    store, trials = half_trained(path, len(SPOILERS) + 1, moments)
    halves = dict(zip([*SPOILERS, CODE], trials, strict=True))
    for how, spoil in SPOILERS.items():
        spoil(store.trial(halves[how]).checkpoint, moments)
    hostile = store.trial(halves[CODE]).checkpoint
    change(hostile, extra=Trap(target))
    content = hostile.read_bytes()
    study = start(path)
    assert study.wait(timeout=HANG_S) == 1, said_by(path)
    assert hostile.read_bytes() == content  # it is left as it was
    return store, halves, target


@pytest.mark.parametrize("how", SPOILERS)
def test_a_checkpoint_that_is_no_good_is_set_aside(how, spoiled, reference):
    store, halves, _ = spoiled
    assert store.trial(halves[how]).state()["status"] == "finished"
    assert_set_aside(store, halves[how], store.root.with_suffix(".err").read_text())


def test_a_checkpoint_that_would_run_code_is_refused_and_named(spoiled, reference):
    """Once it is gone the trial can be run; then all is as in a study that nothing befell."""
    store, halves, target = spoiled
    record = store.trial(halves[CODE])
    assert record.state()["status"] == "failed"
    named = rf"checkpoint {record.checkpoint} .*could run code"
    assert re.match(named, record.state()["message"])
    assert re.search(named, store.root.with_suffix(".out").read_text())
    assert not target.exists()
    torch.load(record.checkpoint, weights_only=False)
    assert target.exists()  # the trap was armed
    record.checkpoint.unlink()
    again = start(store.root, "--retry-failed")
    assert again.wait(timeout=HANG_S) == 0, said_by(store.root)
    outcome = Outcome(injections=len(halves))
    outcome.compare(store.root, reference)
    outcome.assert_nothing_lost(len(halves))
