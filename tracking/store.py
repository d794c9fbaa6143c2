"""A store: the folder with the results of studies, and the only truth about them."""

import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracking.atomic import write_json, write_parquet
from tracking.errors import StoreError
from tracking.ledger import TrialRecord
from tracking.schema import DYNAMICS, SCHEMA_VERSION, SCORES, TABLES, TRIALS, versioned

_TRIAL_ID = re.compile(r"[0-9a-f]{16}")
_STUDY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def open_store(path: str | Path) -> "Store":
    """Open a store that exists.

    Raises:
        StoreError: there is no store at ``path``, or it is of a newer schema version.
    """
    root = Path(path).absolute()
    marker = root / "store.json"
    if not marker.is_file():
        raise StoreError(f"no store at {root}; a study makes one with --store {root}")
    try:
        found = json.loads(marker.read_text())["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{marker} is damaged ({error}); it should hold a schema_version"
        ) from error
    if not isinstance(found, int) or not 1 <= found <= SCHEMA_VERSION:
        raise StoreError(
            f"store {root} has schema version {found!r}, this program reads 1 to {SCHEMA_VERSION}; "
            "give another --store, or use the program version that made it"
        )
    return Store(root)


def create_store(path: str | Path) -> "Store":
    """Open a store to write to, making it first where there is none.

    A store of an older schema version becomes one of this version: its files stay as they are, and
    the columns that they lack read as null.
    """
    root = Path(path).absolute()
    if not (root / "store.json").exists():
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise StoreError(f"{root} exists and is not a store; give an empty or a new folder")
        write_json(root / "store.json", {"schema_version": SCHEMA_VERSION})
    store = open_store(root)
    if json.loads((root / "store.json").read_text())["schema_version"] < SCHEMA_VERSION:
        write_json(root / "store.json", {"schema_version": SCHEMA_VERSION})
    return store


def default_tracking_uri(store: "Store") -> str:
    """Where MLflow mirrors a store unless told otherwise: an absolute SQLite URI inside it."""
    return f"sqlite:///{store.root / 'mlflow.db'}"


class Store:
    """Use ``open_store`` or ``create_store`` to get one.

    ``trials()``, ``dynamics()`` and ``scores()`` are Arrow tables with the columns of
    ``tracking.schema``, read from the trials' own files, so they are never stale.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def writing(self, purpose: str) -> Iterator[None]:
        """Hold the store as its only driver; the hold ends with the process at latest.

        Raises:
            StoreError: another driver holds it; the message says which.
        """
        with (self.root / "writer.lock").open("a+") as lock:
            try:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "another process"
                raise StoreError(
                    f"store {self.root} is being written by {holder}; wait for it, stop it, or "
                    "give another --store"
                ) from None
            lock.truncate(0)
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            lock.write(f"{purpose}, process {os.getpid()} on {socket.gethostname()}, since {now}")
            lock.flush()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    lock.truncate(0)

    def trial(self, trial_id: str) -> TrialRecord:
        """The record of a trial, whether it has begun or not."""
        if not _TRIAL_ID.fullmatch(trial_id):
            raise StoreError(f"trial id is {trial_id!r}; need 16 hexadecimal digits")
        return TrialRecord(self.root / "trials" / trial_id)

    def plan(
        self, study: str, trial_ids: Iterable[str], about: Mapping[str, Any] | None = None
    ) -> None:
        """Add trials to a study. A trial may belong to several; it is run once.

        ``about`` says how the study reads, see ``about``; None leaves what is there.
        """
        path = self._plan_path(study)
        members = list(dict.fromkeys([*self.members(study), *trial_ids]))
        about = self.about(study) if about is None else dict(about)
        write_json(path, {"study": study, "about": about, "trials": members})

    def about(self, study: str) -> dict[str, Any]:
        """How a study reads: its ``title``, the configuration fields that are its ``rows`` and its
        ``columns``, its ``headline`` scorer, the ``paper``'s values. Empty if nobody said.
        """
        path = self._plan_path(study)
        return dict(json.loads(path.read_text()).get("about", {})) if path.exists() else {}

    def members(self, study: str) -> list[str]:
        """Ids of the trials of a study, in the order they were planned."""
        path = self._plan_path(study)
        return list(json.loads(path.read_text())["trials"]) if path.exists() else []

    def studies(self) -> list[str]:
        """Names of the studies in the store."""
        return sorted(path.stem for path in (self.root / "studies").glob("[!.]*.json"))

    def trials(self) -> pa.Table:
        """One row a study and trial, planned ones that never began included."""
        rows = [
            _trial_row(study, self.trial(trial_id))
            for study in self.studies()
            for trial_id in self.members(study)
        ]
        return pa.Table.from_pylist(rows, schema=TRIALS)

    def dynamics(self) -> pa.Table:
        """One row a trial and evaluated epoch."""
        tables = [self.trial(trial_id).dynamics() for trial_id in self._all_members()]
        return pa.concat_tables([DYNAMICS.empty_table(), *tables]).combine_chunks()

    def scores(self) -> pa.Table:
        """One row a trial, evaluated epoch, layer and scorer."""
        tables = [self.trial(trial_id).scores() for trial_id in self._all_members()]
        return pa.concat_tables([SCORES.empty_table(), *tables]).combine_chunks()

    def sql(self, query: str) -> pa.Table:
        """Answer a query over the views ``trials``, ``dynamics`` and ``scores`` (DuckDB)."""
        import duckdb  # only queries need it

        with duckdb.connect(":memory:") as connection:
            for name in TABLES:
                connection.register(name, getattr(self, name)())
            connection.execute("SET enable_external_access = false")
            return connection.sql(query).to_arrow_table()

    def write_summary(self) -> Path:
        """Write the three tables to ``parquet/`` for other tools; returns that folder."""
        folder = self.root / "parquet"
        for name, schema in TABLES.items():
            table = getattr(self, name)()
            write_parquet(folder / f"{name}.parquet", table.cast(versioned(schema)))
        return folder

    def _all_members(self) -> list[str]:
        return list(dict.fromkeys(t for study in self.studies() for t in self.members(study)))

    def _plan_path(self, study: str) -> Path:
        if not _STUDY.fullmatch(study):
            raise StoreError(
                f"study name is {study!r}; need lower-case letters, digits, '-' and '_'"
            )
        return self.root / "studies" / f"{study}.json"


def _trial_row(study: str, record: TrialRecord) -> dict[str, Any]:
    definition, state = record.definition(), record.state()
    config = definition["config"]
    dynamics = record.dynamics().to_pylist()
    row = {name: config[name] for name in TRIALS.names if name in config}
    row |= {name: definition[name] for name in TRIALS.names if name in definition}
    row |= {name: state[name] for name in TRIALS.names if name in state}
    row |= {
        name: json.dumps(config[name], sort_keys=True)
        for name in ("augment", "layers", "method_options")
        if name in config
    }
    for name in ("started_at", "ended_at"):
        if name in row:
            row[name] = datetime.fromisoformat(row[name])
    row |= {
        "study": study,
        "trial_id": record.trial_id,
        "epochs": dynamics[-1]["epoch"] if dynamics else 0,
        "steps": dynamics[-1]["step"] if dynamics else 0,
        "seconds": sum(each["train_seconds"] + each["evaluate_seconds"] for each in dynamics),
    }
    return row
