"""A store: the folder with the results of studies, and the only truth about them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracking.atomic import write_json
from tracking.errors import DamagedFileError, StoreError
from tracking.generation import GenerationError, open_generation, pointed_at
from tracking.hold import HeldError, hold, this_process
from tracking.ledger import TrialRecord
from tracking.reading import read_json
from tracking.schema import SCHEMA_VERSION, TABLES
from tracking.snapshot import Snapshot
from tracking.storage import ObjectPath, StorePath, locate

_TRIAL_ID = re.compile(r"[0-9a-f]{16}")
_STUDY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def open_store(path: str | StorePath, *, skip_damaged: bool = False) -> "Store":
    """Open a store that exists.

    Args:
        path: its folder, or ``s3://BUCKET/PREFIX``.
        skip_damaged: leave out what cannot be read of trials and list it in ``Store.skipped``,
            where otherwise the first damaged file is an error.

    Raises:
        StoreError: there is no store at ``path``, or it is of a newer schema version.
    """
    root = locate(path)
    marker = root / "store.json"
    if not marker.is_file():
        raise StoreError(f"no store at {root}; a study makes one with --store {root}")
    found = _schema_version(marker)
    if not isinstance(found, int) or not 1 <= found <= SCHEMA_VERSION:
        raise StoreError(
            f"store {root} has schema version {found!r}, this program reads 1 to {SCHEMA_VERSION}; "
            "give another --store, or use the program version that made it"
        )
    return Store(root, skip_damaged=skip_damaged)


def create_store(path: str | StorePath) -> "Store":
    """Open a store to write to, making it first where there is none.

    A store of an older schema version becomes one of this version: its files stay as they are, and
    the columns that they lack read as null.
    """
    root = locate(path)
    if not (root / "store.json").exists():
        # Another driver may be making the store at this moment: names with a dot are its first,
        # then comes store.json, so who has seen others looks for that again.
        strange = root.exists() and (not root.is_dir() or any(root.glob("[!.]*")))
        if strange and not (root / "store.json").exists():
            raise StoreError(f"{root} exists and is not a store; give an empty or a new folder")
        write_json(root / "store.json", {"schema_version": SCHEMA_VERSION})
    store = open_store(root)
    if _schema_version(root / "store.json") < SCHEMA_VERSION:
        write_json(root / "store.json", {"schema_version": SCHEMA_VERSION})
    return store


def default_tracking_uri(store: "Store") -> str:
    """Where MLflow mirrors a store unless told otherwise: an absolute SQLite URI, inside the store
    or, for a store in object storage, below ``results/`` in the working directory.
    """
    root = store.root
    folder = Path("results", root.name).absolute() if isinstance(root, ObjectPath) else root
    return f"sqlite:///{folder / 'mlflow.db'}"


class Store:
    """Use ``open_store`` or ``create_store`` to get one.

    ``trials()``, ``dynamics()`` and ``scores()`` are Arrow tables with the columns of
    ``tracking.schema``, never stale: what has changed since the last compaction is read from the
    trials' own files.

    Attributes:
        root: its folder, or the place of its objects.
        skipped: damaged files that were left out so far, with the error; see ``open_store``.
    """

    def __init__(self, root: StorePath, *, skip_damaged: bool = False) -> None:
        self.root = root
        self.skipped: dict[StorePath, str] = {}
        self._skip_damaged = skip_damaged

    @contextmanager
    def writing(self, purpose: str) -> Iterator[None]:
        """Hold the store as its only driver; the hold ends with the process at latest.

        Raises:
            StoreError: another driver holds it; the message says which.
        """
        try:
            with hold(self.root / "writer.lock", this_process(purpose), wait_s=0):
                yield
        except HeldError as error:
            raise StoreError(
                f"store {self.root} is being written by {error.holder}; wait for it, stop it, or "
                "give another --store"
            ) from None

    def trial(self, trial_id: str) -> TrialRecord:
        """The record of a trial, whether it has begun or not.

        Raises:
            StoreError: the id is none, or the trial's folder is a link out of the store.
        """
        _check_id(trial_id)
        folder = self.root / "trials" / trial_id
        _check_inside(folder)
        return TrialRecord(folder)

    def plan(
        self, study: str, trial_ids: Iterable[str], about: Mapping[str, Any] | None = None
    ) -> None:
        """Add trials to a study. A trial may belong to several; it is run once.

        ``about`` says how the study reads, see ``about``; None leaves what is there.
        """
        path = self._plan_path(study)
        members = list(dict.fromkeys([*self.members(study), *trial_ids]))
        for trial_id in members:
            _check_id(trial_id)
        about = self.about(study) if about is None else dict(about)
        write_json(path, {"study": study, "about": about, "trials": members})

    def about(self, study: str) -> dict[str, Any]:
        """How a study reads: its ``title``, the configuration fields that are its ``rows`` and its
        ``columns``, its ``headline`` scorer, the ``paper``'s values. Empty if nobody said.
        """
        about = self._read_plan(study).get("about", {})
        if not isinstance(about, dict):
            raise StoreError(f"{self._plan_path(study)}: 'about' is {about!r}; need an object")
        return about

    def members(self, study: str) -> list[str]:
        """Ids of the trials of a study, in the order they were planned.

        Raises:
            StoreError: what the plan lists is no list of trial ids.
        """
        plan = self._read_plan(study)
        members = plan.get("trials") if plan else []
        if not isinstance(members, list):
            path = self._plan_path(study)
            raise StoreError(f"{path}: 'trials' is {members!r}; need a list of trial ids")
        for trial_id in members:
            _check_id(trial_id, f"{self._plan_path(study)}: ")
        return list(dict.fromkeys(members))

    def studies(self) -> list[str]:
        """Names of the studies in the store."""
        return sorted(path.stem for path in (self.root / "studies").glob("[!.]*.json"))

    def chosen(self, study: str | None) -> list[str]:
        """The named study alone, or all of them for None.

        Raises:
            StoreError: the store has no study of this name.
        """
        studies = self.studies()
        if study is None:
            return studies
        if study not in studies:
            raise StoreError(f"no study {study!r} in the store (it has: {', '.join(studies)})")
        return [study]

    def trials(self) -> pa.Table:
        """One row a study and trial, planned ones that never began included."""
        return self._table("trials")

    def dynamics(self) -> pa.Table:
        """One row a trial and evaluated epoch."""
        return self._table("dynamics")

    def scores(self) -> pa.Table:
        """One row a trial, evaluated epoch, layer and scorer."""
        return self._table("scores")

    def sql(self, query: str) -> pa.Table:
        """Answer a query over the views ``trials``, ``dynamics`` and ``scores`` (DuckDB).

        Raises:
            QueryError: it is no single select, or it fails; files are out of its reach.
        """
        from tracking import sql  # imports DuckDB, which only queries need

        return sql.answer(query, self._tables)

    def write_summary(self) -> StorePath:
        """Compact the store; returns the folder of its three tables, which other tools can read."""
        from tracking.compaction import compact  # which knows the store

        return compact(self)

    def snapshot(self, *, compacted: bool = True) -> Snapshot:
        """What a reader sees now; not ``compacted``: from the trials' own files alone."""
        studies = {
            study: [self.trial(trial_id) for trial_id in self.members(study)]
            for study in self.studies()
        }
        folder = pointed_at(self.root) if compacted else None
        skipped = self.skipped if self._skip_damaged else None
        return Snapshot(studies, open_generation(folder) if folder else None, skipped)

    def _table(self, name: str) -> pa.Table:
        table = self._tables([name])[name]
        return table.cast(TABLES[name]).combine_chunks()  # cast: out of the dictionaries

    def _tables(self, names: Iterable[str]) -> dict[str, pa.Table]:
        while True:
            folder = pointed_at(self.root)
            try:
                return self.snapshot().tables(names)
            except GenerationError:
                if pointed_at(self.root) == folder:
                    raise  # else a compaction has meanwhile replaced and removed it

    def _read_plan(self, study: str) -> dict[str, Any]:
        path = self._plan_path(study)
        return read_json(path) if path.exists() else {}

    def _plan_path(self, study: str) -> StorePath:
        if not _STUDY.fullmatch(study):
            raise StoreError(
                f"study name is {study!r}; need lower-case letters, digits, '-' and '_'"
            )
        path = self.root / "studies" / f"{study}.json"
        _check_inside(path)
        return path


def _check_inside(path: StorePath) -> None:
    """Refuse a name in a folder of the store that a link leads out of it; object storage has none.

    Args:
        path: ``STORE/FOLDER/NAME``; the last two can be links.
    """
    if not isinstance(path, Path) or not (path.is_symlink() or path.parent.is_symlink()):
        return
    if not path.resolve().is_relative_to(path.parent.parent.resolve()):
        raise StoreError(f"{path} is led out of the store by a link; move it into the store")


def _check_id(trial_id: Any, where: str = "") -> None:
    if not isinstance(trial_id, str) or not _TRIAL_ID.fullmatch(trial_id):
        raise StoreError(f"{where}trial id is {trial_id!r}; need 16 hexadecimal digits")


def _schema_version(marker: StorePath) -> Any:
    try:
        return read_json(marker)["schema_version"]
    except (DamagedFileError, KeyError) as error:
        raise StoreError(
            f"{marker} is damaged ({error}); it should hold a schema_version"
        ) from error
