"""Trials on threads of one process: the bits of each alone, whatever becomes of the others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from nsa_core import TrialConfig
from nsa_core.training import Pulse, train
from nsa_core.training.compilation import Compilation
from studies.trial import life
from studies.trial.data import data_of, images_of
from studies.trial.register import register
from studies.trial.running import RunningTrial
from tests.studies.conftest import rows
from tests.studies.toy import NEVER_FITS
from tracking import create_store

SMALL = {"projector_dim": 32, "predictor_dim": 32}
GOOD = TrialConfig(
    dataset="digits", normal_class=3, method="simsiam", norm="both", depth=10, width=8,
    batch_size=32, budget=2, evaluations=2, layers=("embedding",), learning_rate=1e-3,
    method_options=SMALL,
)  # fmt: skip
OTHERS = {
    "byol": replace(GOOD, method="byol", norm="none", batch_size=16, method_options={}),
    "simclr": replace(GOOD, method="simclr", norm="f", pollution=0.1, method_options={}),
    "seed": replace(GOOD, norm="g", batch_size=64, seed=7),
}
BAD = {
    "diverged": replace(GOOD, learning_rate=1e30),
    "failed": replace(GOOD, batch_size=100_000),
    "out of memory": replace(GOOD, method_options={**SMALL, "predictor_dim": NEVER_FITS}),
}


def started(store, config, beat_s=60.0, alone=False, **more) -> RunningTrial:
    key = register(store, config, data_of(*images_of("digits", None)))
    task = {
        "trial_id": key, "store": str(store.root), "data_root": None, "device": "cpu", "cpus": 1,
        "stop_by": None, "beat_s": beat_s, **more,
    }  # fmt: skip
    return RunningTrial(task, [], alone=alone)


def finish(trial: RunningTrial) -> str:
    """To its end; what it raised."""
    said = ""
    try:
        while not trial.report()["done"]:
            pass
    except Exception as error:
        said = str(error)
    trial.close()
    return said


def states(store):
    keys = sorted(folder.name for folder in (store.root / "trials").iterdir())
    return {key: store.trial(key).state() for key in keys}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same trials one after another."""
    store = create_store(tmp_path_factory.mktemp("alone") / "store")
    for config in (GOOD, *OTHERS.values(), BAD["diverged"]):
        finish(started(store, config, alone=True))
    return store


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """All at once, and what each raised."""
    store = create_store(tmp_path_factory.mktemp("packed") / "store")
    trials = [started(store, config) for config in (GOOD, *OTHERS.values(), *BAD.values())]
    with ThreadPoolExecutor(len(trials)) as pool:
        said = list(pool.map(finish, trials))
    return store, said


def test_trials_of_one_process_have_the_bits_of_each_alone(alone, packed):
    store, _ = packed
    finished = [key for key, state in states(alone).items() if state["status"] == "finished"]
    assert len(finished) == 1 + len(OTHERS)
    for key in finished:
        one, other = alone.trial(key), store.trial(key)
        assert rows(one.scores()) == rows(other.scores()) != []
        assert rows(one.dynamics()) == rows(other.dynamics()) != []
        weights, same = (
            torch.load(each.checkpoint, weights_only=True)["method"] for each in (one, other)
        )
        assert weights.keys() == same.keys()
        assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_each_ends_in_its_own_way(packed):
    store, said = packed
    by_status = {
        status: [state["message"] for state in states(store).values() if state["status"] == status]
        for status in ("finished", "diverged", "failed")
    }
    assert len(by_status["finished"]) == 1 + len(OTHERS)
    assert len(by_status["diverged"]) == 1
    too_large, memory = sorted(by_status["failed"])
    assert "batch_size 100000 is larger" in too_large
    assert memory.startswith("out of memory")
    assert [bool(each) for each in said] == [False] * 6 + [True]  # the last is to be tried again


def test_what_one_process_measures_is_no_trials_own(alone, packed):
    assert all(state["peak_memory_mb"] > 0 for state in states(alone).values())
    assert not any("peak_memory_mb" in state for state in states(packed[0]).values())


@pytest.fixture
def held_up(monkeypatch):
    """An event until which a trial with seed 7 stays in its first epoch."""
    go_on = threading.Event()

    def slow(config, *args, **more):
        for evaluation in train(config, *args, **more):
            assert config.seed != 7 or go_on.wait(120)
            yield evaluation

    monkeypatch.setattr(life, "train", slow)
    yield go_on
    go_on.set()


def test_a_trial_that_waits_for_a_compiler_is_as_busy_as_its_process(tmp_path, monkeypatch):
    """Killed by it: a pack that was taken for hanging while one of it compiled for ten minutes."""
    turn = threading.Event()

    def waiting(config, *args, on_epoch, **more):
        on_epoch(Pulse(0, 0.0, 0.0, compiling=True))
        assert turn.wait(120)
        on_epoch(Pulse(0, 0.0, 0.0, compilation=Compilation(1.0)))
        yield from train(config, *args, on_epoch=on_epoch, **more)

    monkeypatch.setattr(life, "train", waiting)
    store = create_store(tmp_path / "store")
    trial = started(store, GOOD, beat_s=0.2)
    while not (told := trial.report()).get("compiling"):
        pass
    torch.rand(300, 300).svd()  # this thread's work
    assert trial.report()["cpu_s"] > told["cpu_s"]
    turn.set()
    assert finish(trial) == ""


def test_a_slow_trial_holds_nobody_up_and_is_seen_to_do_nothing(held_up, tmp_path):
    store = create_store(tmp_path / "store")
    slow = started(store, OTHERS["seed"], beat_s=0.2)
    before = slow.report()
    fast = started(store, GOOD)
    busy = 0.0
    while not (told := fast.report())["done"]:
        busy = told["cpu_s"]
    fast.close()
    while slow.report()["cpu_s"] != slow.report()["cpu_s"]:
        pass  # on its way to where it waits
    waits = slow.report()
    assert (before["done"], waits["done"]) == (False, False)
    assert slow.report()["cpu_s"] == waits["cpu_s"] > 0
    assert busy > 0
    held_up.set()
    assert finish(slow) == ""
    assert [state["status"] for state in states(store).values()] == ["finished"] * 2
