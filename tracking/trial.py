"""A trial's record in the store: what it is, how it stands, what it has measured so far."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracking.errors import DamagedFileError, StoreError
from tracking.files.held import Hold, this_process
from tracking.files.hold import hold
from tracking.files.place import StorePath
from tracking.files.read import read_json, read_parquet
from tracking.files.write import write_json, write_parquet
from tracking.schema import DYNAMICS, SCORES, SIGNAL_COLUMNS, table_of, versioned

_TRIAL_ID = re.compile(r"[0-9a-f]{16}")

ENDED = ("finished", "collapsed", "diverged", "stopped", "failed")
"""How a trial can end; "stopped" is a scheduler's choice. Only finished ones are averaged."""

_WITH_ROWS = ("finished", "collapsed")  # always; older stores do not say "evaluated"
_PENDING = {"status": "pending", "attempts": 0}
_KEYS = ("epoch", "layer", "scorer")  # which order the rows of a file


def check_trial_id(trial_id: Any, where: str = "") -> None:
    """Validate a trial id; ``where`` begins the message.

    Raises:
        StoreError: it is not.
    """
    if not isinstance(trial_id, str) or not _TRIAL_ID.fullmatch(trial_id):
        raise StoreError(f"{where}trial id is {trial_id!r}; need 16 hexadecimal digits")


def trial_id(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """16 hexadecimal digits that name a whole configuration, in plain values, and the data."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{canonical}\n{data_fingerprint}".encode()).hexdigest()[:16]


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
        """Hold the trial exclusively; the hold ends with the process at the latest.

        Raises:
            StoreError: another process still holds it after ``wait_s`` seconds.
        """
        with hold(self.folder / ".lock", this_process(), wait_s) as self._held:
            yield

    # what the trial is ---------------------------------------------------------------------

    def create(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write what the trial is, once: its whole configuration and facts about its data, of which
        ``data_fingerprint`` is one.
        """
        if not (self.folder / "config.json").exists():
            self.write_artifact("config", {"config": dict(config), **facts})

    def definition(self) -> dict[str, Any]:
        """What ``create`` wrote: ``config`` and the facts.

        Raises:
            DamagedFileError: it is of another trial than this one.
        """
        path = self.folder / "config.json"
        found = read_json(path)
        if not isinstance(found.get("config"), dict):
            raise DamagedFileError(path, "it holds no configuration")
        if trial_id(found["config"], str(found.get("data_fingerprint"))) != self.trial_id:
            raise DamagedFileError(path, "it is the configuration of another trial")
        return found

    # how it stands -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """``status`` and what came with it; "pending" for a trial that never began.

        Pending is also one that ended with rows that are gone: it is trained again.

        Raises:
            DamagedFileError: what the file holds is no state.
        """
        path = self.folder / "status.json"
        if not path.exists():
            return dict(_PENDING)
        state = read_json(path)
        if state.get("status") not in ("pending", "running", *ENDED):
            raise DamagedFileError(path, f"'status' is {state.get('status')!r}")
        if state["status"] in ENDED and state.get("evaluated", state["status"] in _WITH_ROWS):
            rows = (self.folder / "dynamics.parquet", self.folder / "scores.parquet")
            if not all(path.exists() for path in rows):
                return dict(_PENDING)
        return state

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

    def note(self, **facts: Any) -> None:
        """Add to what is said of a running trial, before its end."""
        self.write_artifact("status", {**self.state(), **facts})

    def end(self, status: str, message: str = "", **facts: Any) -> None:
        """Mark it ended, in one of the ways of ``ENDED``."""
        if status not in ENDED:
            raise ValueError(f"status is {status!r}; need one of {ENDED}")
        now = _now()  # of one that ended before it could begin, both times
        before = {"started_at": now, **self.state()}
        evaluated = self.dynamics().num_rows
        told = {"status": status, "message": message, "ended_at": now, "evaluated": evaluated}
        state = {**before, **told, **facts}
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
    joined = pa.concat_tables([kept, table_of(rows, schema)]).sort_by(keys)
    return joined.replace_schema_metadata(versioned(schema).metadata)


def _read_table(path: StorePath, schema: pa.Schema) -> pa.Table:
    try:
        return read_parquet(path, schema)
    except FileNotFoundError:
        return schema.empty_table()


def _now() -> str:
    return datetime.now(UTC).isoformat()
