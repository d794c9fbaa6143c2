"""Rows of the table ``trials``, from definition, status and dynamics."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracking.errors import DamagedFileError
from tracking.files.place import StorePath
from tracking.schema import TRIALS
from tracking.trial import TrialRecord

LENGTHS = ("trial_id", "epoch", "step", "train_seconds", "evaluate_seconds")
"""Columns of dynamics that a row of trials is made of."""

_AS_JSON = ("augment", "layers", "method_options", "slow_scores")
_LEFT_OUT = {"compile": False}
"""Fields that a configuration leaves out while they have these values."""

_FITS: dict[pa.DataType, Callable[[Any], bool]] = {  # Arrow itself would turn 4.5 into 4
    pa.int64(): lambda value: type(value) is int and -(2**63) <= value < 2**63,
    pa.float64(): lambda value: (
        type(value) is float or (type(value) is int and abs(value) <= 2**53)
    ),
    pa.string(): lambda value: (
        type(value) is str and value.encode("utf-8", "replace").decode() == value
    ),
    pa.bool_(): lambda value: type(value) is bool,
    TRIALS.field("started_at").type: lambda value: type(value) is datetime,
}

_COLUMNS = [(field.name, field.type, _FITS[field.type]) for field in TRIALS]


def trial_row(
    record: TrialRecord,
    definition: Mapping[str, Any],
    state: Mapping[str, Any],
    dynamics: pa.Table | None,
) -> dict[str, Any]:
    """One row, without a study.

    Args:
        definition: ``record.definition()``.
        state: ``record.state()``, read before the dynamics.
        dynamics: at least the columns ``LENGTHS``, in the order of epochs; None if there are none.

    Raises:
        DamagedFileError: a file does not hold what it should.
    """
    path, config = record.folder / "config.json", definition["config"]
    row = _columns(path, {**_LEFT_OUT, **config, **_texts(config, _AS_JSON), **definition})
    versions = _texts(state, ("score_versions",))
    row |= _columns(record.folder / "status.json", {**state, **versions, **_times(state)})
    row |= {"study": None, "trial_id": record.trial_id, "epochs": 0, "steps": 0, "seconds": 0.0}
    if dynamics is not None and dynamics.num_rows:
        row["epochs"], row["steps"] = (dynamics[name][-1].as_py() for name in ("epoch", "step"))
        spent = pc.add(dynamics["train_seconds"], dynamics["evaluate_seconds"])
        row["seconds"] = pc.sum(spent).as_py()
    return row


def _columns(path: StorePath, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are columns, each of the column's type."""
    found = {}
    for name, kind, fits in _COLUMNS:
        value = values.get(name)
        if value is not None:
            if not fits(value):
                raise DamagedFileError(path, f"{name!r} is {value!r}, need {kind}")
            found[name] = value
    return found


def _texts(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Those of the names that there are, as JSON."""
    return {
        name: json.dumps(values[name], sort_keys=True, ensure_ascii=False)
        for name in names
        if name in values
    }


def _times(state: Mapping[str, Any]) -> dict[str, datetime]:
    found = {}
    for name in ("started_at", "ended_at"):
        with suppress(TypeError, ValueError, KeyError):  # what is no time, its type will tell
            found[name] = datetime.fromisoformat(state[name])
    return found
