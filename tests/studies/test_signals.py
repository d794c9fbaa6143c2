"""Ctrl-C and SIGTERM: a study stops cleanly, says how to go on, and goes on to the same numbers."""

import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.studies.conftest import ROOT, run_study, study_command
from tests.studies.test_batchsize_ablation import assert_same, ended, wait_for


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_study_that_is_told_to_stop_stops_and_goes_on(name, undisturbed, tmp_path):
    reference, _ = undisturbed
    path = tmp_path / "store"
    driver = subprocess.Popen(
        study_command(path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (path / "trials").exists() and ended(path) >= 1, "a trial to end")
    children = psutil.Process(driver.pid).children(recursive=True)
    told = time.monotonic()
    driver.send_signal(getattr(signal, name))
    _, errors = driver.communicate(timeout=60)
    assert time.monotonic() - told < 10
    assert driver.returncode == 130
    assert "interrupted; the same command goes on where it stopped" in errors
    assert "Traceback" not in errors
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]
    final = run_study(path)
    assert final.returncode == 0, final.stderr
    assert re.search(r"8 trials: [1-7] done before", final.stdout)
    assert_same(path, reference)


def test_a_signal_before_anything_runs_is_no_traceback(tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-m", "studies", "run", "batchsize_ablation", "--preset", "quick",
         "--store", str(tmp_path / "store")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "store" / "writer.lock").exists(), "the store")
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Traceback" not in errors
