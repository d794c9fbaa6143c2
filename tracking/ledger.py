"""A trial's record in the store: what it is, how it stands, what it has measured so far."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracking.atomic import write_json, write_parquet
from tracking.errors import StoreError
from tracking.hold import Hold, hold, this_process
from tracking.reading import read_json, read_parquet
from tracking.schema import DYNAMICS, SCORES, SIGNAL_COLUMNS, versioned
from tracking.storage import StorePath

ENDED = ("finished", "collapsed", "diverged", "stopped", "failed")
"""How a trial can end; "stopped" is a scheduler's choice. Only finished ones are averaged."""

_KEYS = ("epoch", "layer", "scorer")  # which order the rows of a file


class TrialRecord:
    """The folder of one trial. One process at a time may write it, and must ``claim`` it first.

    Files: ``config.json``, ``status.json``, ``dynamics.parquet``, ``scores.parquet``,
    ``checkpoint.pt``, ``test_scores.parquet``, ``pollution.json``. Each is replaced whole.
    """

    def __init__(self, folder: StorePath) -> None:
        self.folder = folder
        self.trial_id = folder.name
        self.checkpoint = folder / "checkpoint.pt"
        self._held: Hold | None = None

    @contextmanager
    def claim(self, wait_s: float = 120.0) -> Iterator[None]:
        """Hold the trial against every other process; the hold ends with the process at latest.

        Raises:
            StoreError: another process still holds it after ``wait_s`` seconds.
        """
        with hold(self.folder / ".lock", this_process(), wait_s) as self._held:
            yield

    # what the trial is ---------------------------------------------------------------------

    def create(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write what the trial is, once: its whole configuration and facts about its data."""
        if not (self.folder / "config.json").exists():
            self.write_artifact("config", {"config": dict(config), **facts})

    def definition(self) -> dict[str, Any]:
        """What ``create`` wrote: ``config`` and the facts."""
        return read_json(self.folder / "config.json")

    # how it stands -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """``status`` and what came with it; "pending" for a trial that never began."""
        path = self.folder / "status.json"
        return read_json(path) if path.exists() else {"status": "pending", "attempts": 0}

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Mark it running; ``facts`` are about the machine of this attempt."""
        before = self.state()
        state = {
            "status": "running",
            "attempts": before["attempts"] + 1,
            "started_at": before.get("started_at", _now()),
            **facts,
        }
        self.write_artifact("status", state)

    def end(self, status: str, message: str = "", **facts: Any) -> None:
        """Mark it ended, in one of the ways of ``ENDED``."""
        if status not in ENDED:
            raise ValueError(f"status is {status!r}; need one of {ENDED}")
        now = _now()  # of one that ended before it could begin, both times
        before = {"started_at": now, **self.state()}
        state = {**before, "status": status, "message": message, "ended_at": now, **facts}
        self.write_artifact("status", state)

    # what it has measured ------------------------------------------------------------------

    def add(self, dynamics: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> None:
        """Record one evaluated epoch. An epoch that comes again replaces its earlier rows."""
        own = {"trial_id": self.trial_id, "epoch": dynamics["epoch"]}
        rows = [{**own, **score} for score in scores]
        row = {"time": datetime.now(UTC), **dynamics, **own}
        scores_now = _with_epoch(self.scores(), SCORES, own["epoch"], rows)
        dynamics_now = _with_epoch(self.dynamics(), DYNAMICS, own["epoch"], [row])
        self.write_artifact("scores", scores_now)
        self.write_artifact("dynamics", dynamics_now)

    def dynamics(self) -> pa.Table:
        """One row an evaluated epoch, in order."""
        return _read_table(self.folder / "dynamics.parquet", DYNAMICS)

    def signals(self) -> list[dict[str, Any]]:
        """One row an evaluated epoch, in order, of what may select (``SIGNAL_COLUMNS``)."""
        return self.dynamics().select(SIGNAL_COLUMNS).to_pylist()  # type: ignore[no-any-return]

    def scores(self) -> pa.Table:
        """One row an evaluated epoch, layer and scorer."""
        return _read_table(self.folder / "scores.parquet", SCORES)

    def write_artifact(self, name: str, value: pa.Table | dict[str, Any]) -> None:
        """Keep a table as ``name.parquet`` or plain values as ``name.json``.

        Raises:
            StoreError: the claim was lost, because the storage did not answer for too long.
        """
        if self._held and self._held.lost:
            raise StoreError(f"trial {self.trial_id} is no longer this process's to write")
        if isinstance(value, pa.Table):
            write_parquet(self.folder / f"{name}.parquet", value)
        else:
            write_json(self.folder / f"{name}.json", value)


def _with_epoch(
    table: pa.Table, schema: pa.Schema, epoch: int, rows: list[dict[str, Any]]
) -> pa.Table:
    keys = [(name, "ascending") for name in _KEYS if name in schema.names]
    kept = table.filter(pc.field("epoch") != epoch)
    joined = pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=schema)]).sort_by(keys)
    return joined.replace_schema_metadata(versioned(schema).metadata)


def _read_table(path: StorePath, schema: pa.Schema) -> pa.Table:
    try:
        return read_parquet(path, schema)
    except FileNotFoundError:
        return schema.empty_table()


def _now() -> str:
    return datetime.now(UTC).isoformat()
