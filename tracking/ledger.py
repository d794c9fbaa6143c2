"""A trial's record in the store: what it is, how it stands, what it has measured so far."""

import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracking.atomic import write_json, write_parquet
from tracking.errors import StoreError
from tracking.reading import read_json, read_parquet
from tracking.schema import DYNAMICS, SCORES, SIGNAL_COLUMNS, versioned

ENDED = ("finished", "collapsed", "diverged", "stopped", "failed")
"""How a trial can end; "stopped" is a scheduler's choice. Only finished ones are averaged."""

_KEYS = ("epoch", "layer", "scorer")  # which order the rows of a file


class TrialRecord:
    """The folder of one trial. One process at a time may write it, and must ``claim`` it first.

    Files: ``config.json``, ``status.json``, ``dynamics.parquet``, ``scores.parquet``,
    ``checkpoint.pt``, ``test_scores.parquet``, ``pollution.json``. Each is replaced whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trial_id = folder.name
        self.checkpoint = folder / "checkpoint.pt"

    @contextmanager
    def claim(self, wait_s: float = 120.0) -> Iterator[None]:
        """Hold the trial against every other process; the hold ends with the process at latest.

        Raises:
            StoreError: another process still holds it after ``wait_s`` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + wait_s
        with (self.folder / ".lock").open("a") as lock:
            while not _try_lock(lock.fileno()):
                if time.monotonic() > deadline:
                    raise StoreError(f"trial {self.trial_id} is held by another process")
                time.sleep(0.1)
            yield

    # what the trial is ---------------------------------------------------------------------

    def create(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write what the trial is, once: its whole configuration and facts about its data."""
        if not (self.folder / "config.json").exists():
            write_json(self.folder / "config.json", {"config": dict(config), **facts})

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
        write_json(self.folder / "status.json", state)

    def end(self, status: str, message: str = "", **facts: Any) -> None:
        """Mark it ended, in one of the ways of ``ENDED``."""
        if status not in ENDED:
            raise ValueError(f"status is {status!r}; need one of {ENDED}")
        state = {**self.state(), "status": status, "message": message, "ended_at": _now(), **facts}
        write_json(self.folder / "status.json", state)

    # what it has measured ------------------------------------------------------------------

    def add(self, dynamics: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> None:
        """Record one evaluated epoch. An epoch that comes again replaces its earlier rows."""
        own = {"trial_id": self.trial_id, "epoch": dynamics["epoch"]}
        rows = [{**own, **score} for score in scores]
        _replace_epoch(self.folder / "scores.parquet", SCORES, own["epoch"], rows)
        row = {"time": datetime.now(UTC), **dynamics, **own}
        _replace_epoch(self.folder / "dynamics.parquet", DYNAMICS, own["epoch"], [row])

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
        """Keep a table as ``name.parquet`` or plain values as ``name.json``."""
        if isinstance(value, pa.Table):
            write_parquet(self.folder / f"{name}.parquet", value)
        else:
            write_json(self.folder / f"{name}.json", value)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace_epoch(path: Path, schema: pa.Schema, epoch: int, rows: list[dict[str, Any]]) -> None:
    keys = [(name, "ascending") for name in _KEYS if name in schema.names]
    kept = _read_table(path, schema).filter(pc.field("epoch") != epoch)
    table = pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=schema)]).sort_by(keys)
    write_parquet(path, table.replace_schema_metadata(versioned(schema).metadata))


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return read_parquet(path, schema)
    except FileNotFoundError:
        return schema.empty_table()


def _now() -> str:
    return datetime.now(UTC).isoformat()
