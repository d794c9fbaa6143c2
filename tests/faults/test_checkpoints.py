"""Checkpoints that are truncated, of another trial or version, or programs."""

import os
import random
import re
import time
from pathlib import Path

import pytest
import torch

from studies.batchsize_ablation import STUDY as ABLATION
from studies.grid_work import GridWork
from studies.options import parser
from studies.trial import run_trial
from tests.faults.lab import (
    STUDY,
    Outcome,
    finish,
    recorded_again,
    seeded,
    start,
    stores,
)
from tests.security.hostile import Trap
from tests.studies.conftest import TOY, run_study
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
        assert study.wait(timeout=300) == 0, path.with_suffix(".err").read_text()
        warned = path.with_suffix(".err").read_text()
        for trial in halves:
            (aside,) = store.trial(trial).folder.glob("checkpoint.pt.aside-*")
            assert f"trial {trial}: checkpoint " in warned
            assert f"it is now {aside.name}" in store.trial(trial).state()["set_aside"]
        outcome.injections += len(halves)
        outcome.compare(path, reference)
    return outcome


def half_trained(path: Path, count: int, moments: random.Random) -> tuple[Store, list[str]]:
    """A store of which some trials were cut off after their first checkpoint."""
    store = create_store(path)
    made = parser(ABLATION.name, ABLATION.title, ABLATION.presets)
    work = GridWork(ABLATION, made.parse_args([*TOY, *STUDY, "--store", str(path)]))
    work.begin(store)
    trials = [*work.trials(store)]
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


@pytest.mark.parametrize("how", SPOILERS)
def test_a_checkpoint_that_is_no_good_is_set_aside(how, reference, tmp_path):
    spoil_checkpoints(tmp_path, reference, seeded(), 3, how).assert_nothing_lost(3)


def test_a_checkpoint_that_would_run_code_is_refused_and_named(reference, tmp_path):
    path, target = tmp_path / "store", tmp_path / TRAP
    store, (trial,) = half_trained(path, 1, seeded())
    checkpoint = store.trial(trial).checkpoint
    change(checkpoint, extra=Trap(target))
    content = checkpoint.read_bytes()
    done = run_study(path, *STUDY)
    assert done.returncode == 1
    assert not target.exists()
    assert re.search(
        rf"- failed: .*{trial}\): checkpoint {checkpoint} .*could run code", done.stdout
    )
    assert checkpoint.read_bytes() == content
    torch.load(checkpoint, weights_only=False)
    assert target.exists()  # the trap was armed
    checkpoint.unlink()
    finish(path, outcome := Outcome(injections=1), reference, "--retry-failed")
    outcome.assert_nothing_lost(1)
