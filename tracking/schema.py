"""The three result tables: their columns, and the version that a store carries."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 4
"""Raised when columns are added; those that an older store lacks read as null."""

_TIME = pa.timestamp("us", tz="UTC")

TRIALS = pa.schema(
    [
        ("study", pa.string()),
        ("trial_id", pa.string()),
        ("status", pa.string()),  # pending, running, or one of tracking.ENDED
        ("message", pa.string()),  # why a trial failed, diverged or collapsed
        ("dataset", pa.string()),
        ("normal_class", pa.int64()),
        ("class_name", pa.string()),
        ("method", pa.string()),
        ("norm", pa.string()),
        ("batch_size", pa.int64()),
        ("pollution", pa.float64()),
        ("seed", pa.int64()),
        ("budget", pa.int64()),
        ("budget_unit", pa.string()),
        ("evaluations", pa.int64()),
        ("layers", pa.string()),  # JSON
        ("slow_scores", pa.string()),  # JSON; null where none were asked for
        ("probe_images", pa.int64()),
        ("held_out", pa.float64()),
        ("learning_rate", pa.float64()),
        ("weight_decay", pa.float64()),
        ("optimiser", pa.string()),  # null for Adam, and the two below for their defaults
        ("momentum", pa.float64()),
        ("warmup_epochs", pa.int64()),
        ("depth", pa.int64()),
        ("width", pa.int64()),
        ("stem", pa.string()),
        ("backbone", pa.string()),  # null, as the three below, for an encoder from scratch
        ("weights", pa.string()),
        ("weights_sha256", pa.string()),
        ("image_size", pa.int64()),  # null for 224, too
        ("precision", pa.string()),
        ("channels_last", pa.bool_()),
        ("compile", pa.bool_()),
        ("augment", pa.string()),  # JSON
        ("method_options", pa.string()),  # JSON
        ("data_fingerprint", pa.string()),
        ("train_images", pa.int64()),
        ("pollution_images", pa.int64()),
        ("test_images", pa.int64()),
        ("epochs", pa.int64()),  # trained so far
        ("steps", pa.int64()),  # trained so far
        ("attempts", pa.int64()),
        ("started_at", _TIME),
        ("ended_at", _TIME),
        ("seconds", pa.float64()),  # training and evaluating, all attempts
        ("passes", pa.float64()),  # of the encoder for a test image and all common scores
        ("own_passes", pa.float64()),  # the same for the method's own; null without any
        ("peak_memory_mb", pa.float64()),
        ("energy_joules", pa.float64()),  # of the device; null where it cannot be read
        ("host", pa.string()),
        ("device", pa.string()),
        ("threads", pa.int64()),
        ("python", pa.string()),
        ("torch", pa.string()),
        ("version", pa.string()),  # of this project
        ("commit", pa.string()),  # of this project's checkout; null outside of one
        ("score_versions", pa.string()),  # JSON: of the scores' definitions; null if not noted
    ]
)

_GEOMETRY = [  # of the embedding; the same of the projection as "projection_..."
    ("kappa_train", pa.float64()),
    ("kappa_test_normal", pa.float64()),
    ("kappa_test_outlier", pa.float64()),
    ("resultant_train", pa.float64()),
    ("resultant_test_normal", pa.float64()),
    ("resultant_test_outlier", pa.float64()),
    ("mmd_train", pa.float64()),  # squared, to uniform, gamma 2
    ("uniformity_train", pa.float64()),
    ("alignment_train", pa.float64()),
    ("spread_train", pa.float64()),
    ("effective_rank_train", pa.float64()),
    ("linear_probe", pa.float64()),  # null without probe_images
    ("knn_probe", pa.float64()),
]

DYNAMICS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("epoch", pa.int64()),
        ("step", pa.int64()),
        ("time", _TIME),  # when it was evaluated
        ("loss", pa.float64()),
        ("collapsed", pa.bool_()),
        ("held_out_auroc", pa.float64()),  # null without held_out
        *_GEOMETRY,
        *((f"projection_{name}", kind) for name, kind in _GEOMETRY),
        ("train_seconds", pa.float64()),
        ("evaluate_seconds", pa.float64()),
        ("images_per_second", pa.float64()),
    ]
)

SCORES = pa.schema(
    [
        ("trial_id", pa.string()),
        ("epoch", pa.int64()),
        ("layer", pa.string()),  # stem, stage1 to stage3, embedding, projection, ensemble, method
        ("scorer", pa.string()),
        ("auroc", pa.float64()),
        ("auprc", pa.float64()),
        ("fpr95", pa.float64()),
    ]
)

EXTREMES = pa.schema(
    [
        ("kind", pa.string()),  # "false alarm" or "miss"
        ("rank", pa.int64()),  # 1 for the worst of its kind
        ("row", pa.int64()),  # in the test split
        ("score", pa.float64()),
        ("class_name", pa.string()),
        ("image", pa.binary()),  # a PNG
    ]
)
"""A trial's worst mistakes, in its ``extremes.parquet``."""

SIGNAL_COLUMNS = (
    "trial_id",
    "epoch",
    "step",
    "loss",
    "collapsed",
    "held_out_auroc",
    *(
        f"{space}{name}"
        for space in ("", "projection_")
        for name, _ in _GEOMETRY
        if name.endswith("_train")
    ),
)
"""Columns of ``dynamics`` that come from the training split alone: all that may select."""

KEYS = ("trial_id", "epoch", "layer", "scorer")
"""What names a row of dynamics (the first two) or of scores (all); never null."""

TABLES = {"trials": TRIALS, "dynamics": DYNAMICS, "scores": SCORES}


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table. A column that a row lacks is null; pyarrow would drop one too many.

    Raises:
        ValueError: a row has a column that the schema lacks.
    """
    rows = list(rows)
    if unknown := sorted({name for row in rows for name in row} - set(schema.names)):
        raise ValueError(f"no such column: {', '.join(unknown)}")
    return pa.Table.from_pylist(rows, schema=schema)


def versioned(schema: pa.Schema) -> pa.Schema:
    """The schema with its version in the metadata, as it is written to files."""
    return schema.with_metadata({"nsa_schema_version": str(SCHEMA_VERSION)})
