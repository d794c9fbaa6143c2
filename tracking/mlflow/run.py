"""A trial as an MLflow run: name, tags, params, metrics, artifacts.

Metrics are ``auroc/SCORER`` of the embedding, ``auroc/LAYER/SCORER`` of other layers,
``other/auprc/SCORER`` and ``other/fpr95/SCORER`` of the embedding alone (Parquet has all layers),
``signal/COLUMN`` for what ``dynamics`` holds, and ``system/COLUMN`` for what it says of speed.
MLflow shows the first of them in the alphabet first.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param

from tracking.files.read import read_any_parquet, read_bytes
from tracking.report.mistakes import mistakes
from tracking.report.render.pictures import extremes_picture, score_picture
from tracking.schema import DYNAMICS
from tracking.trial import ENDED, TrialRecord

_KEYS = {"trial_id", "epoch", "time"}
_SPEED = {"train_seconds", "evaluate_seconds", "images_per_second"}
_ONCE = ("peak_memory_mb", "energy_joules")
_FILTERS = ("dataset", "method", "norm", "batch_size", "pollution", "seed")
_STATE = ("status", "message", "absent", "host", "device", "torch", "version", "commit")


def run_name(config: Mapping[str, Any]) -> str:
    """A trial in a few words."""
    return (
        f"{config['method']} {config['norm']} b{config['batch_size']} "
        f"{config['dataset'].rsplit('/', 1)[-1]}:{config['normal_class']} "
        f"p{config['pollution']:g} s{config['seed']}"
    )


def tags(definition: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered by (``tags."nsa.norm" = 'both'``), how it stands, where it ran."""
    config = definition["config"]
    found = {name: config[name] for name in _FILTERS} | {"class": definition["class_name"]}
    found |= {name: state[name] for name in _STATE if state.get(name)}
    return {f"nsa.{name}": str(value) for name, value in found.items()}


def params(definition: Mapping[str, Any]) -> list[Param]:
    """The whole configuration, and the facts about its data."""
    flat: dict[str, Any] = {}
    for key, value in definition["config"].items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    flat |= {key: value for key, value in definition.items() if key != "config"}
    return [Param(key, v if isinstance(v, str) else json.dumps(v)) for key, v in flat.items()]


def metrics(
    record: TrialRecord, dynamics: Iterable[Mapping[str, Any]], state: Mapping[str, Any]
) -> list[Metric]:
    """Of the epochs of these rows of dynamics; once it has ended, what it took as a whole too."""
    at = {row["epoch"]: milliseconds(row["time"]) for row in dynamics}
    found = [
        Metric(f"{_group(name)}/{name}", float(row[name]), at[row["epoch"]], row["epoch"])
        for row in dynamics
        for name in DYNAMICS.names
        if name not in _KEYS and row[name] is not None
    ]
    for row in record.scores().to_pylist():
        if (epoch := row["epoch"]) in at:
            inner = row["layer"] == "embedding"
            name = row["scorer"] if inner else f"{row['layer']}/{row['scorer']}"
            found.append(Metric(f"auroc/{name}", row["auroc"], at[epoch], epoch))
            for kind in ("auprc", "fpr95") if inner else ():
                found.append(Metric(f"other/{kind}/{name}", row[kind], at[epoch], epoch))
    if state["status"] in ENDED:
        ended = milliseconds(state["ended_at"])
        for name in _ONCE:
            if state.get(name) is not None:
                found.append(Metric(f"system/{name}", state[name], ended, 0))
    return found


def write_artifacts(record: TrialRecord, folder: Path) -> None:
    """Write what MLflow keeps of an ended trial to a folder: two of its files, and pictures."""
    for name in ("config.json", "pollution.json"):
        if (record.folder / name).exists():
            (folder / name).write_bytes(read_bytes(record.folder / name))
    title = run_name(record.definition()["config"])
    if (record.folder / "test_scores.parquet").exists():
        rows = record.scores().to_pylist()
        last = max((row["epoch"] for row in rows), default=0)
        aurocs = {
            row["scorer"]: row["auroc"]
            for row in rows
            if row["epoch"] == last and row["layer"] == "embedding"
        }
        if aurocs:
            table = read_any_parquet(record.folder / "test_scores.parquet")
            picture = score_picture(table, aurocs, f"{title}, epoch {last}")
            (folder / "scores.png").write_bytes(picture)
    if (record.folder / "extremes.parquet").exists():
        path = record.folder / "extremes.parquet"
        found = mistakes(path)
        if any(found.values()):
            (folder / "extremes.png").write_bytes(extremes_picture(found, path))


def milliseconds(time: datetime | str) -> int:
    """MLflow's timestamp of a datetime or its ISO form."""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return int(moment.timestamp() * 1000)


def latest(rows: Iterable[Mapping[str, Any]], epoch: int) -> int:
    """The latest time, in milliseconds, of rows of dynamics up to an epoch; 0 if there are none."""
    return max((milliseconds(row["time"]) for row in rows if row["epoch"] <= epoch), default=0)


def _group(name: str) -> str:
    return "system" if name in _SPEED else "signal"
