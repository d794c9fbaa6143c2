"""What is not in the means, what it cost, and exactly what ran."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracking.report.arms import levels_of
from tracking.report.blocks import Block, Cell, Section, Table, Text
from tracking.report.cells import level
from tracking.report.examples import describe
from tracking.report.numbers import NONE, count, duration, field_text, number, value_text
from tracking.report.results import Results, Trial
from tracking.schema import SCHEMA_VERSION

_ORDER = ("collapsed", "diverged", "failed", "stopped", "running", "pending")
_MACHINE = ("host", "device", "threads", "python", "torch", "version", "commit")
_FACTS = ("data_fingerprint", "train_images", "pollution_images", "test_images")
_MOST_NAMED = 200


def excluded(results: Results) -> Section | None:
    """Every trial that is not in the means, named with its message; None if all are in."""
    inside = {trial.trial_id for trial in results.finished}
    outside = [trial for trial in results.trials if trial.trial_id not in inside]
    if not outside:
        return None
    ordered = sorted(outside, key=lambda t: (*_ORDER, t.status).index(t.status))
    body: list[list[Cell]] = [
        [
            trial.status if trial.status != "finished" else f"finished, no {results.headline}",
            describe(results, trial),
            str(trial.state.get("message") or NONE),
            trial.trial_id,
            number(float(trial.epochs[-1])) if len(trial.epochs) else "0",
        ]
        for trial in ordered[:_MOST_NAMED]
    ]
    caption = "Trials that have not finished well are named here and averaged nowhere."
    if len(ordered) > _MOST_NAMED:
        caption += f" The first {_MOST_NAMED} of {len(ordered):,}; the store has the others."
    header = ["status", "trial", "message", "id", "epochs"]
    return Section("Not in the means", [Table(caption, header, body, labels=4)])


def cost(results: Results) -> Section | None:
    """Time, speed, memory and energy by arm and in total; None where nothing ran."""
    ran = [trial for trial in results.trials if len(trial.epochs)]
    if not ran:
        return None
    fields = [name for name in [*results.rows, results.column] if name]
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


def provenance(results: Results) -> Section:
    """Configuration, data, machines and versions."""
    first = results.trials[0].config
    names = sorted({name for trial in results.trials for name in trial.config})
    shared = [name for name in names if _values(results.trials, name) == [first.get(name)]]
    blocks: list[Block] = [
        Table(
            "Configuration that all trials share.",
            ["field", "value"],
            [[name, _exact(first.get(name))] for name in shared],
            labels=2,
        )
    ]
    if varying := [name for name in names if name not in shared]:
        body = [[name, ", ".join(map(_exact, _values(results.trials, name)))] for name in varying]
        blocks.append(Table("Configuration that varies.", ["field", "values"], body, labels=2))
    blocks.append(_machines(results))
    blocks.append(Text(f"Store of schema version {SCHEMA_VERSION}, study {results.study}."))
    return Section("Exactly what ran", blocks)


def _cost_cells(trials: Sequence[Trial]) -> list[Cell]:
    seconds = [_seconds(trial) for trial in trials]
    speeds = np.concatenate([trial.dynamics["images_per_second"] for trial in trials])
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
    parts = (trial.dynamics[name] for name in ("train_seconds", "evaluate_seconds"))
    return float(sum(np.nansum(part) for part in parts))


def _values(trials: Sequence[Trial], name: str) -> list[Any]:
    found: list[Any] = []
    seen = set()
    for trial in trials:
        value = trial.config.get(name)
        if (key := json.dumps(value, sort_keys=True)) not in seen:
            seen.add(key)
            found.append(value)
    return found


def _exact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _machines(results: Results) -> Table:
    body: list[list[Cell]] = []
    for name in (*_FACTS, *_MACHINE):
        holders = [t.definition if name in _FACTS else t.state for t in results.trials]
        found = Counter(str(each[name]) for each in holders if each.get(name) is not None)
        if found:
            told = [
                value if len(found) == 1 else f"{value} ({count(n, 'trial')})"
                for value, n in found.most_common()
            ]
            body.append([field_text(name), ", ".join(told)])
    return Table("Data, machines and versions.", ["", "value"], body, labels=2)
