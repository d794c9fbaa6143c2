"""The GPU benchmark at toy size on a CPU, in an interpreter that lacks the orchestration."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
SECTIONS = {"numerics", "matmul", "speed", "memory", "training"}
ABSENT = ["ray", "mlflow", "optuna", "duckdb", "matplotlib", "pandas", "tracking", "studies"]
RUN = """
import runpy, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
absent, script = sys.argv[1].split(","), sys.argv[2]

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name.partition(".")[0] in absent
        return None if missing else super().find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Bare]  # nothing editable is installed either
sys.argv[:] = sys.argv[2:]
sys.path[0] = script.rpartition("/")[0]  # as "python script" would have it
runpy.run_path(script, run_name="__main__")
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, ",".join(ABSENT), str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "results"
    done = run("--toy", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def test_writes_two_files(results):
    assert sorted(path.name for path in results.iterdir()) == ["gpu.md", "gpu.parquet"]


def test_every_section_is_measured_and_finite(results):
    table = pq.read_table(results / "gpu.parquet")
    text, real = pa.string(), pa.float64()
    assert table.schema.names == [
        "section", "name", "value", "unit", "n", "low", "high", "status"
    ]  # fmt: skip
    assert table.schema.types == [text, text, real, text, pa.int64(), real, real, text]
    rows = table.to_pylist()
    assert {row["section"] for row in rows} == SECTIONS
    for row in rows:
        assert row["status"] == "ok", row
        assert row["n"] >= 1, row
        assert all(math.isfinite(row[key]) for key in ("low", "value", "high")), row
        assert row["low"] <= row["value"] <= row["high"], row
    assert len({row["name"] for row in rows}) == len(rows)


def test_the_cpu_agrees_with_itself_and_bf16_does_not(results):
    rows = pq.read_table(results / "gpu.parquet").to_pylist()
    apart = {row["name"]: row["value"] for row in rows if row["section"] == "numerics"}
    assert max(value for name, value in apart.items() if name.startswith("fp32")) < 1e-4
    assert 1e-4 < apart["bf16: embedding"] < 0.05


def test_report_has_every_section_and_aligned_tables(results):
    lines = (results / "gpu.md").read_text().splitlines()
    assert {line[3:].lower() for line in lines if line.startswith("## ")} == SECTIONS
    previous = ""
    for line in lines:
        if line.startswith("|") and previous.startswith("|"):
            bars = [[i for i, c in enumerate(each) if c == "|"] for each in (line, previous)]
            assert bars[0] == bars[1], (previous, line)
        previous = line


def test_failed_section_is_reported_and_the_others_run(tmp_path):
    failing = tmp_path / "failing.py"
    failing.write_text(
        f"import runpy, sys\nsys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "import gpu\n"
        "def speed(run):\n"
        "    '''Fails.'''\n"
        "    yield gpu.Row('speed', 'first', 'pairs', '1/s', gpu.once(1.0))\n"
        "    raise RuntimeError('no memory left')\n"
        "gpu.SECTIONS = (speed, gpu.matmul)\n"
        "sys.exit(gpu.main())\n"
    )
    done = run_script(failing, "--toy", "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stderr
    rows = pq.read_table(tmp_path / "out" / "gpu.parquet").to_pylist()
    failed = [row for row in rows if row["status"] != "ok"]
    assert [(row["section"], row["status"]) for row in failed] == [
        ("speed", "failed: RuntimeError: no memory left")
    ]
    assert {row["section"] for row in rows if row["status"] == "ok"} == {"speed", "matmul"}
    report = (tmp_path / "out" / "gpu.md").read_text()
    assert "**Failed**: RuntimeError: no memory left" in report


def run_script(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_refuses_without_cuda(tmp_path):
    done = run_script(SCRIPT, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "no CUDA device" in done.stderr
    assert "--toy" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
