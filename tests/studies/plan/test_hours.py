"""Device-hours of a forecast, against sums by hand."""

from argparse import Namespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nsa_core import TrialConfig
from nsa_core.training import log_spaced
from studies.full_ablation import STUDY
from studies.plan import hours
from studies.plan.forecast import Forecast, forecast, shape
from studies.plan.grid import _cells
from studies.plan.measure import Cost

CPU = Namespace(gpus_per_trial=0.0, device="auto", cpus_per_trial=2)
PRESET = STUDY.presets["paper"]
COST = Cost(step_s=0.5, evaluate_s=0.01, memory_mb=600.0, disk_mb=3.0)
RATES = {
    "simsiam, batch 32, captured: image pairs": 6_000.0,
    "simsiam, batch 32, captured, 8 streams: image pairs": 15_000.0,
    "simsiam, batch 32, eager: image pairs": 90_000.0,
    "simsiam, batch 128, captured: image pairs": 16_000.0,
    "simsiam, batch 512, captured and compiled: image pairs": 20_000.0,
    "simclr, batch 512, captured: image pairs": 1.0,
    "an evaluation: an image": 1e-4,
}


def paper_grid() -> list[TrialConfig]:
    """640 trials: the grid of the paper's preset, ten classes of 5,000 images."""
    return [
        TrialConfig.from_dict({**PRESET.base, **cell, "dataset": "cifar10", "normal_class": index})
        for index in range(10)
        for cell in _cells(PRESET.axes)
    ]


def forecast_of(configs) -> Forecast:
    costs = {shape(config): COST for config in configs}
    return forecast(configs, costs, lambda config: 5_000, 10_000, 2)


def write_rates(path, rates=RATES) -> None:
    rows = [{"name": name, "value": value, "status": "ok"} for name, value in rates.items()]
    rows.append({"name": None, "value": None, "status": "failed: no memory"})
    rows = [{**row, "name": row["name"] or ""} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture
def benchmark_file(tmp_path, monkeypatch):
    monkeypatch.setattr(hours, "BENCHMARK", tmp_path / "gpu.parquet")
    return tmp_path / "gpu.parquet"


def test_without_any_gpu_rate_that_is_said_beside_the_hours_of_this_cpu(benchmark_file):
    configs = paper_grid()
    found = forecast_of(configs)
    cores, gpus = hours.device_hours(configs, found, CPU).splitlines()
    expected = 2 * sum(trial.seconds for trial in found.trials) / 3600
    assert cores == f"core-hours: {expected:,.0f}, by steps of this CPU"
    assert gpus.startswith("GPU-hours: no GPU rate is known: ")
    assert "there is no benchmarks/results/gpu.parquet" in gpus


def test_the_papers_grid_in_gpu_hours_by_the_rates_of_a_benchmark(benchmark_file):
    write_rates(benchmark_file)
    configs = paper_grid()
    assert len(configs) == 640
    evaluations = len(log_spaced(4_000, 30))
    rates = {32: 15_000, 128: 16_000, 256: 16_000, 512: 20_000}
    seconds = 160 * sum(
        4_000 * (5_000 // batch) * batch / rate + evaluations * 15_000 * 1e-4
        for batch, rate in rates.items()
    )
    last = hours.device_hours(configs, forecast_of(configs), CPU).splitlines()[-1]
    assert last == (
        f"GPU-hours: {seconds / 3600:,.0f}, by the rates in benchmarks/results/gpu.parquet"
    )
    assert 100 < seconds / 3600 < 300


@pytest.mark.parametrize("changes", [{"width": 32}, {"method": "byol"}, {"depth": 34}], ids=str)
def test_rates_of_another_network_or_method_are_not_taken(benchmark_file, changes):
    write_rates(benchmark_file)
    configs = [TrialConfig(**changes)]
    last = hours.device_hours(configs, forecast_of(configs), CPU).splitlines()[-1]
    assert last.startswith("GPU-hours: not known: the rates in benchmarks/results/gpu.parquet are")
    assert "depth 18, width 64, stem 3x3 with simclr, simsiam" in last


def test_measured_on_a_gpu_a_trial_takes_its_share_of_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA X")
    configs = [TrialConfig()] * 3
    found = forecast_of(configs)
    options = Namespace(gpus_per_trial=0.25, device="auto", cpus_per_trial=2)
    expected = 0.25 * 3 * found.trials[0].seconds / 3600
    assert hours.device_hours(configs, found, options) == (
        f"GPU-hours: {expected:.2g}, 0.25 of a GPU a trial, by steps of NVIDIA X"
    )
