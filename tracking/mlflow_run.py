"""What MLflow is told of one trial: name, tags, params, metrics, artifacts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from mlflow.entities import Metric, Param

from tracking.atomic import write_bytes
from tracking.ledger import TrialRecord
from tracking.pictures import extremes_picture, score_picture
from tracking.schema import DYNAMICS

_NOT_METRICS = {"trial_id", "epoch", "time", "collapsed", "step"}
_SYSTEM = {"train_seconds", "evaluate_seconds", "images_per_second"}
_FILTERS = ("dataset", "method", "norm", "batch_size", "pollution", "seed")


def run_name(config: Mapping[str, Any]) -> str:
    """A trial in a few words."""
    return (
        f"{config['method']} {config['norm']} b{config['batch_size']} "
        f"{config['dataset'].rsplit('/', 1)[-1]}:{config['normal_class']} "
        f"p{config['pollution']:g} s{config['seed']}"
    )


def tags(definition: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered by: ``tags."nsa.norm" = 'both'``."""
    config = definition["config"]
    return {f"nsa.{name}": str(config[name]) for name in _FILTERS} | {
        "nsa.class": str(definition["class_name"])
    }


def params(definition: Mapping[str, Any], state: Mapping[str, Any]) -> list[Param]:
    """The whole configuration, the data, and what it ran on."""
    flat: dict[str, Any] = {}
    for key, value in definition["config"].items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    flat |= {key: value for key, value in definition.items() if key != "config"}
    flat |= {key: state[key] for key in ("device", "torch", "version") if key in state}
    return [Param(key, v if isinstance(v, str) else json.dumps(v)) for key, v in flat.items()]


def metrics(
    record: TrialRecord, dynamics: list[dict[str, Any]], state: Mapping[str, Any]
) -> list[Metric]:
    """Of these epochs: auroc/SCORER of the embedding, auroc/LAYER/SCORER of others, signal/NAME,
    and the trial's own system/NAME.
    """
    at = {row["epoch"]: int(row["time"].timestamp() * 1000) for row in dynamics}
    found = [
        Metric(f"{_group(name)}/{name}", row[name], at[row["epoch"]], row["epoch"])
        for row in dynamics
        for name in DYNAMICS.names
        if name not in _NOT_METRICS and row[name] is not None
    ]
    for row in record.scores().to_pylist():
        if row["epoch"] in at:
            layer = "" if row["layer"] == "embedding" else f"{row['layer']}/"
            found += [
                Metric(f"{kind}/{layer}{row['scorer']}", row[kind], at[row["epoch"]], row["epoch"])
                for kind in ("auroc", "auprc", "fpr95")
            ]
    if dynamics and "peak_memory_mb" in state:
        last = dynamics[-1]["epoch"]
        found.append(Metric("system/peak_memory_mb", state["peak_memory_mb"], at[last], last))
    return found


def artifacts(record: TrialRecord) -> Iterator[Path]:
    """Files of an ended trial, pictures made on the way."""
    for name in ("config.json", "pollution.json"):
        if (record.folder / name).exists():
            yield record.folder / name
    title = run_name(record.definition()["config"])
    if (record.folder / "test_scores.parquet").exists():
        rows = record.scores().to_pylist()
        last = max(row["epoch"] for row in rows)
        aurocs = {
            row["scorer"]: row["auroc"]
            for row in rows
            if row["epoch"] == last and row["layer"] == "embedding"
        }
        table = pq.read_table(record.folder / "test_scores.parquet")
        picture = record.folder / "scores.png"
        write_bytes(picture, score_picture(table, aurocs, f"{title}, epoch {last}"))
        yield picture
    if (record.folder / "extremes.parquet").exists():
        grid = record.folder / "extremes.png"
        table = pq.read_table(record.folder / "extremes.parquet")
        write_bytes(grid, extremes_picture(table))
        yield grid


def _group(name: str) -> str:
    return "system" if name in _SYSTEM else "signal"
