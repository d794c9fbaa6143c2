"""What is asked for help answers at once: nothing heavy is imported before it."""

import subprocess
import sys

import pytest

from tests.studies.conftest import ROOT

HEAVY = ("torch", "ray", "mlflow", "sklearn", "matplotlib", "duckdb")
PROGRAM = f"""
import sys
from studies.__main__ import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print("status", status, "loaded", *sorted({set(HEAVY)!r} & sys.modules.keys()))
"""


def nsa(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "usage: nsa study NAME"),
        (["--version"], "nsa 0.1.0"),
        (["list"], "batchsize_ablation"),
        (["study", "batchsize_ablation", "--help"], "--gpus-per-trial"),
        (["study", "hyperparameter_search", "--help"], "--objectives"),
        (["report", "--help"], "usage: nsa report"),
        (["query", "--help"], "usage: nsa query"),
        (["sync", "--help"], "usage: nsa sync"),
        (["compact", "--help"], "usage: nsa compact"),
        (["fit", "--help"], "usage: nsa fit"),
        (["score", "--help"], "usage: nsa score"),
        (["inspect", "--help"], "usage: nsa inspect"),
        (["export", "--help"], "usage: nsa export"),
        (["completion", "bash"], "-F _shtab_nsa nsa"),
    ],
)
def test_help_is_an_answer_and_loads_nothing_heavy(arguments, said):
    done = nsa(*arguments)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert done.stdout.splitlines()[-1] == "status 0 loaded"


def test_what_is_no_command_is_explained():
    done = nsa("studdy", "batchsize_ablation")
    assert done.stdout.splitlines()[-1] == "status 2 loaded"
    assert "usage: nsa study NAME" in done.stderr
