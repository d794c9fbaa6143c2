"""A store: results of studies, in a folder or in object storage."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracking.errors import StoreError
from tracking.files.door import refuse_links
from tracking.files.held import HeldError, this_process
from tracking.files.hold import hold
from tracking.files.place import StorePath
from tracking.files.read import read_json
from tracking.files.write import write_json
from tracking.schema import TABLES
from tracking.studies_of import names_of_studies
from tracking.tables.compaction import compact
from tracking.tables.generation import GenerationError, open_generation, pointed_at
from tracking.tables.snapshot import Snapshot
from tracking.trial import TrialRecord, check_trial_id

_STUDY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


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
        """Hold the store as its only driver; the hold ends with the process at the latest.

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
        check_trial_id(trial_id)
        folder = self.root / "trials" / trial_id
        if isinstance(folder, Path):
            refuse_links(folder / "config.json")
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
            check_trial_id(trial_id)
        about = self.about(study) if about is None else dict(about)
        write_json(path, {"study": study, "about": about, "trials": members})

    def about(self, study: str) -> dict[str, Any]:
        """How a study is reported: its ``title`` and its ``Layout``; empty if nobody said."""
        about = (self._read_plan(study) or {}).get("about", {})
        if not isinstance(about, dict):
            raise StoreError(f"{self._plan_path(study)}: 'about' is {about!r}; need an object")
        return about

    def members(self, study: str) -> list[str]:
        """Ids of the trials of a study, in the order they were planned.

        Raises:
            StoreError: what the plan lists is no list of trial ids.
        """
        plan = self._read_plan(study)
        members = [] if plan is None else plan.get("trials")
        if not isinstance(members, list):
            path = self._plan_path(study)
            raise StoreError(f"{path}: 'trials' is {members!r}; need a list of trial ids")
        for trial_id in members:
            check_trial_id(trial_id, f"{self._plan_path(study)}: ")
        return list(dict.fromkeys(members))

    def studies(self) -> list[str]:
        """Names of the studies in the store; an error if they are lost, see there."""
        return names_of_studies(self.root)

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
        from tracking.tables import sql  # imports DuckDB, which only queries need

        return sql.answer(query, self.tables)

    def compact(self) -> StorePath:
        """Write all trials' rows into three tables that other tools can read; returns their folder.

        Raises:
            StoreError: a trial's file is damaged, or ``STORE/parquet`` is a folder of others.
        """
        return compact(self.root, lambda: self.snapshot(compacted=False))

    def snapshot(self, *, compacted: bool = True) -> Snapshot:
        """A snapshot for reading; without ``compacted`` from the trials' own files alone."""
        studies = {
            study: [self.trial(trial_id) for trial_id in self.members(study)]
            for study in self.studies()
        }
        folder = pointed_at(self.root) if compacted else None
        skipped = self.skipped if self._skip_damaged else None
        return Snapshot(studies, open_generation(folder) if folder else None, skipped)

    def _table(self, name: str) -> pa.Table:
        table, columns = self.tables([name])[name], []
        for field in TABLES[name]:  # one by one out of the dictionaries: all at once are large
            (column,) = table.select([0]).cast(pa.schema([field])).combine_chunks().columns
            columns.append(column)
            table = table.remove_column(0)
        return pa.table(columns, TABLES[name])

    def tables(self, names: Iterable[str]) -> dict[str, pa.Table]:
        """The named tables; those of dynamics and scores have dictionary-encoded strings, in which
        they take half as much memory.

        Raises:
            StoreError: a file is damaged.
        """
        while True:
            folder = pointed_at(self.root)
            try:
                return self.snapshot().tables(names)
            except GenerationError:
                if pointed_at(self.root) == folder:
                    raise  # else a compaction has meanwhile replaced and removed it

    def _read_plan(self, study: str) -> dict[str, Any] | None:
        path = self._plan_path(study)
        there = os.path.lexists(path) if isinstance(path, Path) else path.exists()
        return read_json(path) if there else None

    def _plan_path(self, study: str) -> StorePath:
        if not _STUDY.fullmatch(study):
            raise StoreError(
                f"study name is {study!r}; need lower-case letters, digits, '-' and '_'"
            )
        return self.root / "studies" / f"{study}.json"
