"""Packs on GPUs that are not there: who shares a process, and who is interrupted by what."""

import logging
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from threading import Lock

import psutil
import pytest
import ray
import torch

from studies.cluster.pack import Pack, PackedTrial, PackLostError, end_pack_of, packs_for
from studies.trial.data import data_of, images_of
from studies.trial.register import register
from tests.studies.conftest import ROOT, wait_for
from tests.studies.trial.test_running import BAD, GOOD
from tracking import create_store

LONG = replace(GOOD, budget=400, evaluations=400)


@pytest.fixture(scope="module")
def two_gpus():
    ray.init(
        address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False,
        logging_level=logging.CRITICAL,
    )  # fmt: skip
    end_pack_of("0" * 16)  # in a run without packs there is none to end
    with packs_for(0.5):
        yield
    ray.shutdown()


@pytest.fixture
def store(tmp_path, two_gpus):
    return create_store(tmp_path / "store")


def worker(store, config, gpu="0", fails=False):
    """As ``TrialActor`` has a trial in the pack of its GPU."""

    class Worker:
        def __init__(self, task):
            self.trial = PackedTrial(task, gpu)

        def do(self, what):
            return getattr(self.trial, what)()

        def pid(self):
            return os.getpid()

    key = register(store, config, data_of(*images_of("digits", None)))
    task = {
        "trial_id": key, "store": str(store.root), "data_root": None, "device": "cpu", "cpus": 1,
        "gpus": 0.5, "stop_by": None, "beat_s": 2.0,
    }  # fmt: skip
    made = ray.remote(Worker).options(num_cpus=0).remote(task)
    assert fails or not report(made)["done"]
    return key, made


def report(worker):
    return ray.get(worker.do.remote("report"))


def pack_of(store, key) -> psutil.Process:
    """The process that holds the trial's lock."""
    said = (store.trial(key).folder / ".lock").read_text()
    return psutil.Process(int(re.search(r"process (\d+) on", said)[1]))


def state(store, key):
    return store.trial(key).state()


def close(*workers):
    ray.get([each.do.remote("close") for each in workers])


def test_trials_of_a_gpu_share_a_process_and_are_interrupted_with_it_alone(store):
    """It is killed with -9; they go on in the one that takes its place."""
    (key, one), (beside, two) = worker(store, LONG), worker(store, replace(LONG, seed=1))
    far, elsewhere = worker(store, replace(LONG, seed=2), gpu="1")
    pack, other = pack_of(store, key), pack_of(store, far)
    assert pack_of(store, beside) == pack != other
    wait_for(lambda: report(one).get("epoch", 0) >= 2, "a second epoch")
    recorded = store.trial(key).dynamics()["time"][0]
    pack.kill()
    for each in (one, two):
        with pytest.raises(PackLostError, match="was in has died"):
            report(each)
    assert not report(elsewhere)["done"]
    assert state(store, key)["status"] == "running"
    assert store.trial(key).checkpoint.exists()
    _, again = worker(store, LONG)
    wait_for(lambda: report(again).get("epoch", 0) > 2, "a third epoch")
    assert store.trial(key).dynamics()["time"][0] == recorded  # it did not begin again
    assert state(store, key)["attempts"] == 2
    assert pack_of(store, far) == other
    close(again, elsewhere)


def test_a_trial_that_runs_out_of_memory_leaves_the_others_alone(store):
    (_, one), (key, bad) = worker(store, LONG), worker(store, BAD["out of memory"], fails=True)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        report(bad)
    assert state(store, key)["message"].startswith("out of memory")
    assert not report(one)["done"]
    close(one, bad)


def test_a_worker_that_dies_takes_its_pack_with_it(store):
    """Or the trial would train on and keep its lock, and nobody would ask for it."""
    (key, one), (_, two) = worker(store, LONG), worker(store, replace(LONG, seed=1))
    pack = pack_of(store, key)
    os.kill(ray.get(one.pid.remote()), signal.SIGKILL)
    wait_for(lambda: not pack.is_running(), "the end of its pack")
    with pytest.raises(PackLostError):
        report(two)


def test_a_pack_that_hangs_is_ended_and_no_other(store):
    (key, one), (_, elsewhere) = worker(store, LONG), worker(store, replace(LONG, seed=1), "1")
    hung = pack_of(store, key)
    hung.suspend()
    end_pack_of(key)
    with pytest.raises(PackLostError):
        report(one)
    wait_for(lambda: not hung.is_running(), "its end")
    assert not report(elsewhere)["done"]
    close(elsewhere)


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (
            torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing"),
            False,
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), False),
        (RuntimeError("of one trial alone"), False),
    ],
)
def test_a_pack_ends_itself_where_its_gpu_is_lost_and_for_no_other_error(error, ended, monkeypatch):
    class Trial:
        def report(self):
            raise error

        def close(self):
            pass

    signals = []
    monkeypatch.setattr(os, "kill", lambda *told: signals.append(told))
    pack = object.__new__(Pack)
    pack._trials, pack._changes = {"a": (Trial(), os.pidfd_open(os.getpid()), 0.0)}, Lock()
    with pytest.raises(RuntimeError, match=str(error)[:20]):
        pack.report("a")
    assert signals == [(os.getpid(), signal.SIGKILL)] * ended
    assert not pack._trials


def test_a_worker_of_a_packed_trial_needs_no_torch():
    program = "import sys, studies.cluster.actor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
