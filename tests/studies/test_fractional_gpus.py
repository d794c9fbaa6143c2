"""Ray with GPUs that are not there: shares are honoured and the device is the trial's own."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
import torch

from studies.cli import main
from tests.studies.conftest import ROOT, TOY, rows, wait_for
from tests.studies.toy import STUDY
from tracking import open_store


def run_on_fake_gpus(store, *more) -> int:
    ray.init(
        address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR,
    )  # fmt: skip
    share = ["--gpus-per-trial", "0.4", "--address", "auto"]  # the one that is joined already
    return main(STUDY, [*TOY, "--store", str(store), *share, *more])


def kill_one(store) -> set[str]:
    """Kill a process once it has trained something of a trial; which trials it held."""

    def held():
        found = defaultdict(set)
        for lock in store.glob("trials/*/.lock"):
            if said := lock.read_text():
                found[int(said.split()[1])].add(lock.parent)
        for pid, trials in found.items():
            if any((trial / "checkpoint.pt").exists() for trial in trials):
                return pid, {trial.name for trial in trials}
        return None

    pid, trials = wait_for(held, "a checkpoint")
    os.kill(pid, signal.SIGKILL)
    return trials


def test_shares_are_planned_and_the_numbers_stay_even_if_a_process_is_killed(
    undisturbed, tmp_path, capsys
):
    path, _ = undisturbed
    with ThreadPoolExecutor(1) as beside:
        killing = beside.submit(kill_one, tmp_path / "store")
        assert run_on_fake_gpus(tmp_path / "store", "--device", "cpu") == 0
    said = "4 trials at once on 2 GPUs: each gets 0.5 of one instead of 0.4"
    assert said in capsys.readouterr().out
    trials = open_store(tmp_path / "store").trials().to_pylist()
    again = {trial["trial_id"] for trial in trials if trial["attempts"] == 2}
    assert again  # one may have ended just before it was killed
    assert again <= killing.result()
    assert {trial["attempts"] for trial in trials} <= {1, 2}
    expected = rows(open_store(path).scores())
    found = rows(open_store(tmp_path / "store").scores())
    assert len(found) == len(expected) / 2 > 0
    assert all(row in expected for row in found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gpu_that_torch_cannot_see_is_an_error_not_a_slow_cpu(tmp_path):
    one_worker = ("--concurrency", "1")  # which must live through trials that cannot start
    assert run_on_fake_gpus(tmp_path / "store", "--retries", "0", *one_worker) == 1
    states = [
        json.loads(path.read_text())
        for path in (tmp_path / "store" / "trials").glob("*/status.json")
    ]
    assert len(states) == 4
    assert all("sees no CUDA device" in state["message"] for state in states)


@pytest.fixture(scope="module")
def placed():
    """What trials noted on two hosts of 2 and 1 GPUs, beside a head without any."""
    command = [sys.executable, "benchmarks/placement.py", "--json", "--gpus", "2,1"]
    command += ["--share", "0.5", "--seconds", "0.2", "--trials", "4,8"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True, timeout=600, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def by_gpu(run):
    """Trials of the first that run at once, by host and GPU; they all waited for one another."""
    first = [note for note in run["notes"] if int(note["trial"], 16) < run["at_once"]]
    assert max(note["start"] for note in first) < min(note["end"] for note in first)
    return Counter((note["host"], *note["gpu"]) for note in first)


def test_every_gpu_is_used_before_any_gets_a_second_trial(placed):
    few = placed[0]
    assert few["at_once"] == 4
    assert sorted(by_gpu(few).values()) == [1, 1, 2]  # equal shares: two on each of two


def test_gpus_times_trials_of_a_gpu_run_at_once(placed):
    full = placed[1]
    assert full["at_once"] == 6
    assert set(by_gpu(full).values()) == {2}
    asks = {(note["host"], *note["gpu"], note["ask"]) for note in full["notes"]}
    assert len(asks) == 6  # one first and one second on each GPU, later trials included


def test_a_worker_that_died_finds_its_place_again_and_others_are_reused(placed):
    for run in placed:
        assert len(run["notes"]) == run["trials"]
        assert len({note["worker"] for note in run["notes"]}) == run["at_once"]
