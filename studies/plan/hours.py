"""What a study takes of its devices, in hours: as measured here, or from a GPU's benchmark."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import torch

from nsa_core import TrialConfig
from studies.plan.forecast import Forecast
from studies.plan.hardware import device_of

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "gpu.parquet"
"""As ``benchmarks/gpu.py`` writes it, on the paper's network."""

_RATE = re.compile(r"(\w+), batch (\d+), captured.*: image pairs")
_EVALUATION = "an evaluation: an image"
_NETWORK = {"depth": 18, "width": 64, "stem": "3x3"}


def device_hours(
    configs: Sequence[TrialConfig], found: Forecast, options: argparse.Namespace
) -> str:
    """Hours of GPUs, and of a CPU's cores where trials were measured on one, in words."""
    seconds = sum(trial.seconds for trial in found.trials)
    if device_of(options) == "cuda":
        share = options.gpus_per_trial or 1.0
        name = torch.cuda.get_device_name()
        return (
            f"GPU-hours: {_hours(seconds * share)}, {share:g} of a GPU a trial, by steps of {name}"
        )
    cores = f"core-hours: {_hours(seconds * options.cpus_per_trial)}, by steps of this CPU"
    return f"{cores}\nGPU-hours: {_by_benchmark(configs, found)}"


def _by_benchmark(configs: Sequence[TrialConfig], found: Forecast) -> str:
    where = f"benchmarks/results/{BENCHMARK.name}"
    if not BENCHMARK.exists():
        return (
            "no GPU rate is known: trials are not measured on a GPU here, and there is no "
            f"{where}, which benchmarks/gpu.py writes on a machine with one"
        )
    table = pq.read_table(BENCHMARK).to_pylist()
    rates: dict[tuple[str, int], float] = {}
    for row in table:
        if row["status"] == "ok" and (match := _RATE.fullmatch(row["name"])):
            key = match[1], int(match[2])
            rates[key] = max(rates.get(key, 0.0), row["value"])
    evaluation = [row["value"] for row in table if row["name"] == _EVALUATION]
    methods = {method for method, _ in rates}
    for config in configs:
        unlike = [k for k, value in _NETWORK.items() if getattr(config, k) != value]
        if unlike or not evaluation or config.method not in methods:
            what = ", ".join(f"{k} {v}" for k, v in _NETWORK.items())
            return (
                f"not known: the rates in {where} are of {what} with {', '.join(sorted(methods))}"
            )
    seconds = sum(
        trial.pairs / _rate(rates, config) + trial.evaluated * evaluation[0]
        for config, trial in zip(configs, found.trials, strict=True)
    )
    return f"{_hours(seconds)}, by the rates in {where}"


def _rate(rates: dict[tuple[str, int], float], config: TrialConfig) -> float:
    """Pairs a second at the largest measured batch that is no larger, or at the smallest."""
    batches = sorted(batch for method, batch in rates if method == config.method)
    below = [batch for batch in batches if batch <= config.batch_size]
    return rates[config.method, max(below, default=batches[0])]


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"
