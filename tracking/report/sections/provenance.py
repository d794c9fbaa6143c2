"""Exactly what ran: configuration, data, machines and versions."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tracking.report.blocks import Block, Cell, Section, Table, Text
from tracking.report.numbers import count, field_text
from tracking.report.results import Results
from tracking.report.trials import Trial
from tracking.schema import SCHEMA_VERSION

_FACTS = ("data_fingerprint", "train_images", "pollution_images", "test_images")
_STATE = ("host", "device", "threads", "python", "torch", "version", "commit", "score_versions")


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
    for name in (*_FACTS, *_STATE):
        holders = [t.definition if name in _FACTS else t.state for t in results.trials]
        found = Counter(_exact(each[name]) for each in holders if each.get(name) is not None)
        if found:
            told = [
                value if len(found) == 1 else f"{value} ({count(n, 'trial')})"
                for value, n in found.most_common()
            ]
            body.append([field_text(name), ", ".join(told)])
    return Table("Data, machines and versions.", ["", "value"], body, labels=2)
