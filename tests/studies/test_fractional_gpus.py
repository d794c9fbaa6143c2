"""Ray with GPUs that are not there: shares are honoured and the device is the trial's own."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import torch

from tests.studies.conftest import ROOT, TOY, rows
from tracking import open_store

DRIVER = """
import ray, sys
ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
from studies.batchsize_ablation import STUDY
from studies.cli import main
sys.exit(main(STUDY, sys.argv[1:]))
"""


def run_on_fake_gpus(store, *more):
    return subprocess.run(
        [sys.executable, "-c", DRIVER, *TOY, "--store", str(store), "--gpus-per-trial", "0.4",
         "--address", "auto", *more],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_shares_are_planned_and_the_numbers_stay(undisturbed, tmp_path):
    path, _ = undisturbed
    done = run_on_fake_gpus(tmp_path / "store", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "4 trials at once on 2 GPUs: each gets 0.5 of one instead of 0.4" in done.stdout
    assert rows(open_store(tmp_path / "store").scores()) == rows(open_store(path).scores())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gpu_that_torch_cannot_see_is_an_error_not_a_slow_cpu(tmp_path):
    one_worker = ("--concurrency", "1")  # which must live through trials that cannot start
    done = run_on_fake_gpus(tmp_path / "store", "--retries", "0", *one_worker)
    assert done.returncode == 1
    states = [
        json.loads(path.read_text())
        for path in (tmp_path / "store" / "trials").glob("*/status.json")
    ]
    assert len(states) == 8
    assert all("sees no CUDA device" in state["message"] for state in states)


@pytest.fixture(scope="module")
def placed():
    """What trials noted on three hosts of 2, 3 and 1 GPUs, beside a head without any."""
    command = [sys.executable, "benchmarks/placement.py", "--json", "--gpus", "2,3,1"]
    command += ["--share", "0.5", "--seconds", "0.2", "--trials", "8,16"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True, timeout=300, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def by_gpu(run):
    """Trials of the first that run at once, by host and GPU; they all waited for one another."""
    first = [note for note in run["notes"] if int(note["trial"], 16) < run["at_once"]]
    assert max(note["start"] for note in first) < min(note["end"] for note in first)
    return Counter((note["host"], *note["gpu"]) for note in first)


def test_every_gpu_is_used_before_any_gets_a_second_trial(placed):
    few = placed[0]
    assert few["at_once"] == 8
    assert sorted(by_gpu(few).values()) == [1, 1, 1, 1, 2, 2]  # equal shares: two on each of four


def test_gpus_times_trials_of_a_gpu_run_at_once(placed):
    full = placed[1]
    assert full["at_once"] == 12
    assert set(by_gpu(full).values()) == {2}
    asks = {(note["host"], *note["gpu"], note["ask"]) for note in full["notes"]}
    assert len(asks) == 12  # one first and one second on each GPU, later trials included


def test_a_worker_that_died_finds_its_place_again_and_others_are_reused(placed):
    for run in placed:
        assert len(run["notes"]) == run["trials"]
        assert len({note["worker"] for note in run["notes"]}) == run["at_once"]
