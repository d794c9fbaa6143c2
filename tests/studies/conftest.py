"""A toy batch-size study: the real command on real digits, in seconds a trial."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.shared import once

# Ray gives its workers way to everything else (nice 15): beside other tests they would starve.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # its name
os.environ["RAY_worker_register_timeout_seconds"] = "1800"  # noqa: SIM112  # else workers hang

ROOT = Path(__file__).parents[2]
OPTIONS = '{"projector_dim":32,"predictor_dim":32}'
TOY = ["--preset", "quick", "--epochs", "4", "--classes", "3", "--set", "evaluations=3"]
TOY += ["--set", "width=8", "--set", "depth=10", "--set", f"method_options={OPTIONS}"]
HIDDEN = {  # columns that tell when, how fast and where, not what
    "time", "train_seconds", "evaluate_seconds", "images_per_second", "started_at", "ended_at",
    "seconds", "peak_memory_mb", "attempts", "energy_joules",
}  # fmt: skip


def study_command(store: Path, *more: str, page: str = "") -> list[str]:
    """The batch-size study, or another page of Python."""
    script = [str(ROOT / "studies" / "batchsize_ablation.py")]
    if page:
        script = ["-m", "studies", "study", page]
    return [sys.executable, *script, *TOY, "--store", str(store), *more]


def run_study(
    store: Path, *more: str, timeout: int = 600, page: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        study_command(store, *more, page=page),
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def rows(table) -> list[dict]:
    """The rows of a result table without what may differ between two equal runs, in order."""
    kept = [name for name in table.schema.names if name not in HIDDEN]
    return sorted(table.select(kept).to_pylist(), key=repr)


def wait_for(condition, what: str, seconds: float = 300):
    """What the condition returns, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (psutil.Error, FileNotFoundError):
            pass  # a process or a file went away while it was looked at
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def workers(study: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of a study that train."""
    children = psutil.Process(study.pid).children(recursive=True)
    return [each for each in children if "TrialActor" in " ".join(each.cmdline())]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Store and output of one whole toy study that nothing disturbed; one for all tests."""
    folder = once(tmp_path_factory, "undisturbed", _undisturbed)
    return folder / "store", SimpleNamespace(
        stdout=(folder / "out").read_text(), stderr=(folder / "err").read_text()
    )


def _undisturbed(folder: Path) -> None:
    done = run_study(folder / "store")
    (folder / "out").write_text(done.stdout)
    (folder / "err").write_text(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
