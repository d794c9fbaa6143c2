"""Selection of epochs and configurations by signals of the training split alone.

Nothing here is given test images, their labels or any score of them: every function takes the rows
of ``TrialRecord.signals`` and refuses others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracking.schema import SIGNAL_COLUMNS

SignalRows = Sequence[Mapping[str, Any]]
"""The signals of one trial, a row an evaluated epoch, in order."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A column to choose by.

    Attributes:
        column: of ``tracking.SIGNAL_COLUMNS``.
        higher: is more of it taken for better? Fixed before any study, by the reason.
        reason: why that direction.
    """

    column: str
    higher: bool
    reason: str


SIGNALS = {
    "held-out": Signal("held_out_auroc", True, "tells withheld normals from other training images"),
    "kappa": Signal("kappa_train", True, "NSA: compact normal features"),
    "mmd": Signal("mmd_train", True, "NSA: far from uniform"),
    "alignment": Signal("alignment_train", False, "views of an image agree"),
    "effective-rank": Signal("effective_rank_train", True, "no dimensional collapse"),
    "loss": Signal("loss", False, "what training minimises"),
    "projection-kappa": Signal("projection_kappa_train", True, "NSA: compact projections"),
    "projection-alignment": Signal("projection_alignment_train", False, "views agree"),
    "projection-rank": Signal("projection_effective_rank_train", True, "no dimensional collapse"),
    "projection-spread": Signal("projection_spread_train", True, "no collapse to a point"),
}
"""What a search may optimise, by name."""


def last_value(rows: SignalRows, name: str) -> float | None:
    """The signal at the last epoch; None if it was not measured or is not finite."""
    _check(rows)
    value = rows[-1][SIGNALS[name].column] if rows else None
    return float(value) if value is not None and math.isfinite(value) else None


def best_epoch(rows: SignalRows, name: str) -> int | None:
    """The epoch at which the signal is best, the earliest of equals; None if none has it."""
    _check(rows)
    column = SIGNALS[name].column
    measured = [row for row in rows if row[column] is not None and math.isfinite(row[column])]
    if not measured:
        return None
    return int(min(measured, key=lambda row: (_cost(row[column], name), row["epoch"]))["epoch"])


def best_trial(trials: Mapping[str, SignalRows], name: str) -> str | None:
    """The id of the trial whose last value is best; None if no trial has one."""
    values = {key: last_value(rows, name) for key, rows in trials.items()}
    known = {key: value for key, value in values.items() if value is not None}
    return min(known, key=lambda key: (_cost(known[key], name), key)) if known else None


def goodness(value: float, name: str) -> float:
    """The value with the sign at which higher is better."""
    return -_cost(value, name)


def _cost(value: float, name: str) -> float:
    return -value if SIGNALS[name].higher else value


def _check(rows: SignalRows) -> None:
    for row in rows:
        if other := row.keys() - set(SIGNAL_COLUMNS):
            raise ValueError(
                f"a selection was given {', '.join(sorted(other))}; it may see signals of the "
                "training split alone"
            )
