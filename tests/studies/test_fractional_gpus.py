"""Ray with GPUs that are not there: shares are honoured and the device is the trial's own."""

import json
import subprocess
import sys

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
