"""A study of forty trials whose driver is killed three times, against one that nobody disturbed."""

import random
import signal
import time

import pytest

from tests.studies.conftest import run_study
from tests.studies.test_batchsize_ablation import assert_same, ended, start
from tracking import open_store

FORTY = ["--classes", "0,1,2,3,4", "--epochs", "2", "--set", "evaluations=2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "store"
    started = time.monotonic()
    done = run_study(path, *FORTY)
    assert done.returncode == 0, done.stderr
    return path, time.monotonic() - started


def test_the_driver_killed_at_three_random_moments_changes_nothing(whole, tmp_path):
    reference, seconds = whole
    path = tmp_path / "store"
    moments = random.Random(time.time_ns())
    kills = []
    for _ in range(3):
        driver = start(path, *FORTY)
        wait = moments.uniform(5, max(6, 0.6 * seconds))  # Ray alone takes a few seconds to start
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.05)
        if driver.poll() is None:
            driver.send_signal(signal.SIGKILL)
        driver.wait()
        kills.append((round(wait, 1), ended(path) if (path / "trials").exists() else 0))
    final = run_study(path, *FORTY)
    assert final.returncode == 0, (kills, final.stderr)
    store = open_store(path)
    trials = store.trials().to_pylist()
    assert len(trials) == 40, kills
    assert {row["status"] for row in trials} == {"finished"}, kills
    assert_same(path, reference)
    again = run_study(path, *FORTY)
    assert "40 done before, 0 to run" in again.stdout
