"""The GPU benchmark at toy size on a CPU, in an interpreter that lacks the orchestration."""

import importlib
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nsa_core import load_images
from studies.plan import hours

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
SECTIONS = {"numerics", "matmul", "evaluation", "speed", "training"}
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
    assert max(value for name, value in apart.items() if name.startswith("fp32")) == 0
    assert apart["bf16: embedding"] == 0  # evaluations are in float32 whatever the training is in
    assert 1e-4 < apart["bf16: gradient"] < apart["at most, bf16: gradient"]


def test_report_has_every_section_and_aligned_tables(results):
    lines = (results / "gpu.md").read_text().splitlines()
    assert {line[3:].lower() for line in lines if line.startswith("## ")} == SECTIONS
    previous = ""
    for line in lines:
        if line.startswith("|") and previous.startswith("|"):
            bars = [[i for i, c in enumerate(each) if c == "|"] for each in (line, previous)]
            assert bars[0] == bars[1], (previous, line)
        previous = line


def test_the_table_has_its_cases_and_how_much_faster_several_trials_are(results):
    rows = pq.read_table(results / "gpu.parquet").to_pylist()
    rates = {row["name"]: row for row in rows if row["section"] == "speed"}
    alone, two = "simsiam, batch 4, eager", "simsiam, batch 4, eager, 2 threads"
    for case in (alone, two, "simsiam, batch 6, eager", "simclr, batch 8, eager"):
        assert rates[f"{case}: image pairs"]["value"] > 0
        share = rates[f"{case}: of the bf16 product"]
        assert share["unit"] == "%"
        assert 0 < share["value"] < 100
    gain = rates[f"{two}: image pairs"]["value"] / rates[f"{alone}: image pairs"]["value"]
    assert rates[f"{two}: times one trial"]["value"] == pytest.approx(gain)


def test_the_training_says_where_its_time_went_and_that_images_are_few(results):
    rows = pq.read_table(results / "gpu.parquet").to_pylist()
    shares = [row["value"] for row in rows if row["unit"] == "%" and row["section"] == "training"]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(100)
    report = (results / "gpu.md").read_text()
    sizes = np.bincount(load_images("digits", "train").labels)
    assert f"class {sizes.argmax()} ({sizes.max()} images)" in report


def test_fewer_images_than_dimensions_are_said(gpu, tmp_path, monkeypatch):
    run = importlib.import_module("gpu_run")
    wide = replace(run.TOY, network=replace(run.TOY.network, width=32), max_epochs=1)
    monkeypatch.setattr(gpu, "TOY", wide)
    monkeypatch.setattr(importlib.import_module("gpu_training"), "TOY", wide)
    monkeypatch.setattr(gpu, "SECTIONS", (gpu.training,))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--toy", "--out", str(tmp_path)])
    assert gpu.main() == 0
    images = np.bincount(load_images("digits", "train").labels).max()
    report = (tmp_path / "gpu.md").read_text()
    assert f"fewer training images ({images}) than dimensions (256)" in report


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("gpu")


def test_numerics_over_a_limit_fail_by_name_after_all_of_them_are_written(
    gpu, tmp_path, monkeypatch, capsys
):
    limits = importlib.import_module("gpu_numerics").LIMITS
    monkeypatch.setitem(limits, "bf16", limits["bf16"] | {"loss": 1e-9, "gradient": 1e-9})
    monkeypatch.setattr(gpu, "SECTIONS", (gpu.numerics,))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--toy", "--out", str(tmp_path)])
    assert gpu.main() == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("failed: numerics: OverLimitError: the device differs from the CPU")
    assert last.count("at most 1e-09") == 2
    rows = pq.read_table(tmp_path / "gpu.parquet").to_pylist()
    assert sum(row["status"] == "ok" for row in rows) == 2 * 2 * 7
    assert "**Failed**: OverLimitError" in (tmp_path / "gpu.md").read_text()


def test_a_difference_that_is_not_a_number_is_over_every_limit(gpu):
    numerics = importlib.import_module("gpu_numerics")
    for precision, limits in numerics.LIMITS.items():
        assert len(numerics.over_limits(precision, dict.fromkeys(limits, math.nan))) == 7
        assert numerics.over_limits(precision, limits) == []


def test_a_dry_run_knows_the_rows_that_it_forecasts_by(gpu, results):
    speed, run = (importlib.import_module(name) for name in ("gpu_speed", "gpu_run"))
    there = run.Run(run.Scale(), torch.device("cuda"), ("bf16",), None, 0.0, 180.0)
    names = [f"{case.name(there)}: image pairs" for case in speed.cases(there)]
    assert "simsiam, batch 32, captured, 16 streams: image pairs" in names
    assert "simclr, batch 512, eager: image pairs" in names
    assert len(set(names)) == len(names)
    known = {(match[1], match[2]) for name in names if (match := hours._RATE.fullmatch(name))}
    assert known == {("simsiam", "32"), ("simsiam", "128"), ("simsiam", "512"), ("simclr", "512")}
    assert hours._EVALUATION in pq.read_table(results / "gpu.parquet")["name"].to_pylist()


def test_failed_section_is_reported_and_the_others_run(gpu, tmp_path, monkeypatch):
    once = importlib.import_module("gpu_run").once

    def speed(run):
        """Fails."""
        yield gpu.Row("speed", "first", "pairs", "1/s", once(1.0))
        raise RuntimeError("no memory left")

    monkeypatch.setattr(gpu, "SECTIONS", (speed, gpu.matmul))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--toy", "--out", str(tmp_path / "out")])
    assert gpu.main() == 1
    rows = pq.read_table(tmp_path / "out" / "gpu.parquet").to_pylist()
    failed = [row for row in rows if row["status"] != "ok"]
    assert [(row["section"], row["status"]) for row in failed] == [
        ("speed", "failed: RuntimeError: no memory left")
    ]
    assert {row["section"] for row in rows if row["status"] == "ok"} == {"speed", "matmul"}
    report = (tmp_path / "out" / "gpu.md").read_text()
    assert "**Failed**: RuntimeError: no memory left" in report


def test_it_runs_as_a_module_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--help"],
        cwd=SCRIPT.parents[1], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--minutes" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_refuses_without_cuda(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "no CUDA device" in err
    assert "--toy" in err
    assert not (tmp_path / "out").exists()
