"""A trial's definition and state, checked by those who use more of them than a table's row."""

from collections.abc import Mapping
from typing import Any

from tracking.errors import DamagedFileError
from tracking.tables.trials import trial_row
from tracking.trial import ENDED, TrialRecord

_ALWAYS = ("dataset", "normal_class", "method", "norm", "batch_size", "pollution", "seed")
"""What every configuration has had since the first version of the schema."""


def checked_definition(record: TrialRecord, state: Mapping[str, Any]) -> dict[str, Any]:
    """What the trial is, see ``TrialRecord.definition``.

    Args:
        record: of the trial.
        state: ``record.state()``, which is checked too: times are there, and are times.

    Raises:
        DamagedFileError: something is lacking, or of another type than its column has.
    """
    definition = record.definition()
    row = trial_row(record, definition, state, None)
    for name in _ALWAYS:
        if row.get(name) is None:
            raise DamagedFileError(record.folder / "config.json", f"no {name!r}")
    begun, ended = state["status"] != "pending", state["status"] in ENDED
    for name, needed in (("started_at", begun), ("ended_at", ended)):
        if needed and row.get(name) is None:
            raise DamagedFileError(record.folder / "status.json", f"no {name!r}")
    return definition
