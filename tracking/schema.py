"""The three result tables: their columns, and the version that a store carries."""

import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised when columns are added; those that an older store lacks read as null."""

_TIME = pa.timestamp("us", tz="UTC")

TRIALS = pa.schema(
    [
        ("study", pa.string()),
        ("trial_id", pa.string()),
        ("status", pa.string()),  # pending, running, or one of ledger.ENDED
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
        ("probe_images", pa.int64()),
        ("held_out", pa.float64()),
        ("learning_rate", pa.float64()),
        ("weight_decay", pa.float64()),
        ("depth", pa.int64()),
        ("width", pa.int64()),
        ("stem", pa.string()),
        ("precision", pa.string()),
        ("channels_last", pa.bool_()),
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
        ("peak_memory_mb", pa.float64()),
        ("energy_joules", pa.float64()),  # of the device; null where it cannot be read
        ("host", pa.string()),
        ("device", pa.string()),
        ("threads", pa.int64()),
        ("python", pa.string()),
        ("torch", pa.string()),
        ("version", pa.string()),  # of this project
        ("commit", pa.string()),  # of this project's checkout; null outside of one
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
        ("layer", pa.string()),  # stem, stage1 to stage3, embedding, projection, or ensemble
        ("scorer", pa.string()),
        ("auroc", pa.float64()),
        ("auprc", pa.float64()),
        ("fpr95", pa.float64()),
    ]
)

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


def versioned(schema: pa.Schema) -> pa.Schema:
    """The schema with its version in the metadata, as it is written to files."""
    return schema.with_metadata({"nsa_schema_version": str(SCHEMA_VERSION)})
