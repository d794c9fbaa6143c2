"""What has been trained: a Parquet file a model, named by its trial id, and how to read it."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nsa_core import InputError, TrialConfig
from nsa_core.training import Evaluation

_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
_FIELDS = [name for name, value in TrialConfig().to_dict().items() if type(value) in _TYPES]
SCHEMA = pa.schema(
    [
        ("trial_id", pa.string()),
        ("status", pa.string()),  # training, finished or diverged; the same in all rows
        *((name, _TYPES[type(TrialConfig().to_dict()[name])]) for name in _FIELDS),
        ("config", pa.string()),  # all of it, canonical
        ("data_fingerprint", pa.string()),
        ("class_name", pa.string()),
        ("classes", pa.int64()),  # in the data, outliers come from the others
        ("train_images", pa.int64()),
        ("device", pa.string()),
        ("at_once", pa.int64()),  # models that it trained side by side
        ("torch", pa.string()),
        ("epoch", pa.int64()),
        ("step", pa.int64()),
        ("loss", pa.float64()),
        ("kappa", pa.float64()),  # of the embeddings of the training images
        ("projection_kappa", pa.float64()),
        ("collapsed", pa.bool_()),
        ("train_seconds", pa.float64()),  # since the evaluation before
        ("evaluate_seconds", pa.float64()),
        ("images_per_second", pa.float64()),
        ("layer", pa.string()),
        ("scorer", pa.string()),
        ("auroc", pa.float64()),  # in [0, 1], as the next two
        ("auprc", pa.float64()),
        ("fpr95", pa.float64()),
    ]
)
"""One row a model, epoch, layer and score; of a model that diverged the last row has no score."""


def trial_id(config: TrialConfig, data_fingerprint: str) -> str:
    """16 hexadecimal digits: of the whole configuration and the data, as in a study's store."""
    return hashlib.sha256(f"{config.canonical()}\n{data_fingerprint}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model as far as it has been trained; ``rows`` rise in epochs, and there is one at least."""

    rows: list[dict[str, Any]]

    @property
    def config(self) -> TrialConfig:
        """Its configuration."""
        return TrialConfig.from_dict(json.loads(self.rows[0]["config"]))

    @property
    def last(self) -> dict[str, Any]:
        """The last row: what is not about a score is that of the last evaluation."""
        return self.rows[-1]

    @property
    def ended(self) -> bool:
        """Is nothing left to train?"""
        return bool(self.last["status"] != "training")

    def auroc(self, scorer: str) -> float:
        """Of the embedding at the last evaluation, in [0, 1]."""
        mine = (self.last["epoch"], "embedding", scorer)
        return next(
            row["auroc"] for row in self.rows if (row["epoch"], row["layer"], row["scorer"]) == mine
        )

    def epochs(self) -> Iterator[dict[str, Any]]:
        """One row of every evaluated epoch."""
        yield from {row["epoch"]: row for row in self.rows if row["layer"]}.values()


def read_all(folder: Path) -> list[Trained]:
    """All models of a folder, by name of their file.

    Raises:
        InputError: a file is damaged, or not one of these.
    """
    return [read(path) for path in sorted(folder.glob("[!.]*.parquet"))]


def read(path: Path) -> Trained:
    """One model."""
    advice = "move it away to train its model again"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}); {advice}") from error
    if missing := sorted(set(SCHEMA.names) - set(table.schema.names) - set(_FIELDS)):
        raise InputError(f"{path}: no column {', '.join(missing)}; {advice}")
    if table.num_rows == 0:
        raise InputError(f"{path}: no rows; {advice}")
    return Trained(table.to_pylist())


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a model's file: through a temporary name beside it that is synced and renamed."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def facts_of(config: TrialConfig, data_fingerprint: str) -> dict[str, Any]:
    """The columns that a configuration and the data fill."""
    plain = config.to_dict()
    return {
        **{name: plain[name] for name in _FIELDS},
        "trial_id": trial_id(config, data_fingerprint),
        "config": config.canonical(),
        "data_fingerprint": data_fingerprint,
    }


def rows_of(facts: dict[str, Any], evaluation: Evaluation) -> list[dict[str, Any]]:
    """The rows of one evaluation."""
    signals = evaluation.signals
    common = {
        **facts,
        "epoch": evaluation.epoch,
        "step": evaluation.step,
        "loss": signals.loss,
        "kappa": signals.embedding.kappa,
        "projection_kappa": signals.projection.kappa,
        "collapsed": signals.collapsed,
        "train_seconds": evaluation.train_seconds,
        "evaluate_seconds": evaluation.evaluate_seconds,
        "images_per_second": evaluation.images_per_second,
    }
    return [
        {
            **common,
            "layer": layer,
            "scorer": scorer,
            "auroc": found.auroc,
            "auprc": found.auprc,
            "fpr95": found.fpr95,
        }
        for (layer, scorer), found in evaluation.test.rankings.items()
    ]
