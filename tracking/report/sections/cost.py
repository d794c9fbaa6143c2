"""What it cost: time, speed, memory and energy, by arm and in total."""

from collections.abc import Sequence

import numpy as np

from tracking.report.arms import levels_of
from tracking.report.blocks import Cell, Section, Table
from tracking.report.cells import level
from tracking.report.numbers import NONE, duration, field_text, number, value_text
from tracking.report.results import Results
from tracking.report.trials import Trial


def cost(results: Results) -> Section | None:
    """Time, speed, memory and energy by arm and in total; None where nothing ran."""
    ran = [trial for trial in results.trials if len(trial.epochs)]
    if not ran:
        return None
    fields = results.arm
    body: list[list[Cell]] = []
    for arm in levels_of(results, ran, fields):
        own = [trial for trial in ran if level(trial, fields) == arm]
        body.append([*(map(value_text, arm) if arm else ["all trials"]), *_cost_cells(own)])
    if len(body) > 1:
        body.append(["all", *[""] * (len(fields) - 1), *_cost_cells(ran)])
    header = ["trials", "total", "a trial", "images/s", "peak MB", "energy kJ"]
    table = Table(
        "Training and evaluating of all trials that began, whatever became of them: total time, "
        "median time a trial, median speed of training, highest peak of memory, energy where the "
        "device tells it.",
        [*(map(field_text, fields) if fields else [""]), *header],
        body,
        labels=max(1, len(fields)),
    )
    return Section("Cost", [table])


def _cost_cells(trials: Sequence[Trial]) -> list[Cell]:
    seconds = [_seconds(trial) for trial in trials]
    speeds = np.concatenate([trial.quantity("images_per_second") for trial in trials])
    memory = [trial.state["peak_memory_mb"] for trial in trials if "peak_memory_mb" in trial.state]
    energy = [e for trial in trials if (e := trial.state.get("energy_joules")) is not None]
    partial = f" ({len(energy)} of {len(trials)})" if 0 < len(energy) < len(trials) else ""
    return [
        str(len(trials)),
        duration(sum(seconds)),
        duration(float(np.median(seconds))),
        number(float(np.nanmedian(speeds)) if np.isfinite(speeds).any() else None),
        number(max(memory, default=None)),
        number(sum(energy) / 1000) + partial if energy else NONE,
    ]


def _seconds(trial: Trial) -> float:
    parts = (trial.quantity(name) for name in ("train_seconds", "evaluate_seconds"))
    return float(sum(np.nansum(part) for part in parts))
