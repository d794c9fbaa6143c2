"""Trials that collapse or diverge, in a study of a user's own that is watched on a terminal."""

import os
import pty
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studies.cli import main
from tests.studies.conftest import OPTIONS, ROOT
from tests.studies.endings import EPOCHS, ONE_COLLAPSES
from tracking import open_store

PAGE = ROOT / "tests" / "studies" / "endings.py"
SMALL = ["--classes", "3", "--set", "width=8", "--set", "depth=10"]
SMALL += ["--set", f"method_options={OPTIONS}", "--concurrency", "1"]


@dataclass
class Seen:
    """What a study said, and when the first word came and when Ray was about to start, in s."""

    store: Path
    out: str = ""
    shown: str = ""
    first_s: float = 0.0
    ray_s: float = 0.0
    returncode: int = -1
    started: float = field(default_factory=time.monotonic)


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Seen:
    seen = Seen(tmp_path_factory.mktemp("endings") / "store")
    ours, terminal = pty.openpty()
    study = subprocess.Popen(
        [sys.executable, "-m", "studies", "study", str(PAGE), *SMALL, "--store", str(seen.store)],
        cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
        stderr=terminal, text=True,
    )  # fmt: skip
    os.close(terminal)
    reader = threading.Thread(target=read_terminal, args=(ours, seen))
    reader.start()
    for line in study.stdout:
        seen.out += line
        if "done before" in line:
            seen.ray_s = time.monotonic() - seen.started
    seen.returncode = study.wait(timeout=600)
    reader.join(timeout=60)
    os.close(ours)
    return seen


def read_terminal(ours: int, seen: Seen) -> None:
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # the other side is closed
            return
        seen.first_s = seen.first_s or time.monotonic() - seen.started
        seen.shown += data.decode(errors="replace")


def test_the_first_line_comes_before_the_slow_imports(ended):
    assert ended.shown.startswith("batchsize_ablation, preset quick: loading")
    assert ended.first_s < ended.ray_s / 2  # a few seconds on a machine that is idle
    assert ended.first_s < 60


def test_the_line_of_progress_lives_while_a_trial_trains(ended):
    """There is one evaluation, at the end: what moves the line is the worker's sign of life."""
    epochs = [int(epoch) for epoch in re.findall(r"; epoch (\d+); [\d,]+ images/s", ended.shown)]
    assert [epoch for epoch in epochs if 1 <= epoch < EPOCHS], ended.shown
    assert "2 of 2 trials, 100 %" in ended.shown


def states(ended: Seen) -> dict[str, dict]:
    store = open_store(ended.store)
    found = [store.trial(key).state() for key in store.members("batchsize_ablation")]
    return {state["status"]: state for state in found}


def test_a_diverged_trial_is_named_and_not_averaged(ended):
    assert ended.returncode == 1
    state = states(ended)["diverged"]
    assert re.match(r"loss became nan by epoch|loss became inf", state["message"])
    assert state["message"] in ended.out
    assert "diverged" in ended.out


def test_a_collapsed_trial_is_named_and_not_averaged(ended):
    state = states(ended)["collapsed"]
    assert re.match("spread of embeddings .*, of projections ", state["message"])
    assert state["message"] in ended.out
    assert "collapsed" in ended.out


def test_a_collapsed_trial_is_a_result_and_not_run_again(ended, capsys):
    assert main(ONE_COLLAPSES, [*SMALL, "--store", str(ended.store)]) == 0
    assert "1 trials: 1 done before, 0 to run" in capsys.readouterr().out
