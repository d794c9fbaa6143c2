"""The tables of a store as one reader sees them: a trial's rows come from one place alone.

That place is the generation if the trial's files are still those that it was made of, and else
those files. Whatever writers do meanwhile, no row is seen twice and none that was there is missed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pyarrow as pa

from tracking.errors import DamagedFileError
from tracking.files.place import StorePath
from tracking.files.read import read_parquet
from tracking.schema import TABLES, TRIALS, table_of
from tracking.tables.generation import Generation, Signature, signatures
from tracking.tables.trials import LENGTHS, trial_row
from tracking.trial import TrialRecord


class Snapshot:
    """A consistent view; every file is read at most once. Create a new one to see later changes.

    Args:
        studies: the records of every study's trials.
        generation: where rows of unchanged trials are, if there is one.
        skipped: None to stop at a damaged file; else it is left out and put here, with the error.
    """

    def __init__(
        self,
        studies: Mapping[str, Sequence[TrialRecord]],
        generation: Generation | None = None,
        skipped: dict[StorePath, str] | None = None,
    ) -> None:
        self.studies = studies
        self.generation = generation
        self.skipped = skipped
        self.records = {each.trial_id: each for study in studies.values() for each in study}
        self._read: dict[Any, dict[str, pa.Table | None]] = {}

    @cached_property
    def signatures(self) -> dict[str, Signature]:
        """Of every trial's files, taken before any of them is read."""
        found = signatures([record.folder for record in self.records.values()])
        return dict(zip(self.records, found, strict=True))

    @cached_property
    def unchanged(self) -> frozenset[str]:
        """The trials that the generation holds as they are."""
        known = self.generation.signatures if self.generation else {}
        return frozenset(key for key, now in self.signatures.items() if known.get(key) == now)

    @cached_property
    def changed(self) -> list[str]:
        """The others: their rows come from their own files."""
        return [key for key in self.records if key not in self.unchanged]

    def tables(self, names: Iterable[str]) -> dict[str, pa.Table]:
        """The named tables; those of dynamics and scores have dictionary-encoded strings.

        A writer replaces a trial's scores, then its dynamics, then its status. Reading goes the
        other way around, so an ended trial is complete and every epoch has its scores.

        Raises:
            DamagedFileError: a file is damaged, and none is to be skipped.
            GenerationError: the generation cannot be read.
        """
        wanted = set(names)
        found: dict[str, pa.Table] = {}
        if "trials" in wanted:
            found["trials"] = self._trials(None if "dynamics" in wanted else LENGTHS)
        found |= {name: self._rows(name) for name in ("dynamics", "scores") if name in wanted}
        return found

    def _trials(self, columns: Sequence[str] | None) -> pa.Table:
        """One row a study and trial, from these columns of dynamics."""
        states, rows = {}, []
        for key in self.changed:
            with self._may_skip():
                states[key] = self.records[key].state()
        dynamics = self._files("dynamics", columns)
        for key in self.changed:
            if key in states and key in dynamics:
                with self._may_skip():
                    record = self.records[key]
                    definition = record.definition()
                    rows.append(trial_row(record, definition, states[key], dynamics[key]))
        table = table_of(rows, TRIALS)
        if self.generation and self.unchanged:
            table = pa.concat_tables([self.generation.table("trials"), table])
        place = {key: index for index, key in enumerate(table["trial_id"].to_pylist())}
        chosen = [
            (study, place[record.trial_id])
            for study, records in self.studies.items()
            for record in records
            if record.trial_id in place
        ]
        names = pa.array([study for study, _ in chosen], pa.string())
        taken = table.take(pa.array([index for _, index in chosen], pa.int64()))
        return taken.set_column(0, TRIALS.field("study"), names).combine_chunks()

    def _rows(self, name: str) -> pa.Table:
        """All trials' rows of dynamics or scores, in the order of the trials."""
        own = self._files(name)
        kept = self.generation if self.unchanged else None
        parts: list[slice | pa.Table | None] = []
        for key in self.records:
            if kept and key in self.unchanged:
                span = kept.spans[name][key]
                before = parts[-1] if parts else None
                if isinstance(before, slice) and before.stop == span.start:
                    parts[-1] = slice(before.start, span.stop)
                else:
                    parts.append(span)
            else:
                parts.append(own.get(key))
        whole = kept.table(name) if kept else TABLES[name].empty_table()
        tables = [
            whole.slice(part.start, part.stop - part.start) if isinstance(part, slice) else part
            for part in parts
            if part is not None
        ]
        return pa.concat_tables(tables) if tables else whole

    def _files(self, name: str, columns: Sequence[str] | None = None) -> dict[str, pa.Table | None]:
        """Rows of the changed trials; None where there are none yet, absent where damaged."""
        if (name, columns) not in self._read:
            found: dict[str, pa.Table | None] = {}
            for key in self.changed:  # threads gain nothing here: small files are all overhead
                with self._may_skip():
                    found[key] = self._file(key, name, columns)
            self._read[name, columns] = found
        return self._read[name, columns]

    def _file(self, key: str, name: str, columns: Sequence[str] | None) -> pa.Table | None:
        try:
            path = self.records[key].folder / f"{name}.parquet"
            table = read_parquet(path, TABLES[name], columns, encoded=True)
        except FileNotFoundError:
            return None
        if table["trial_id"].unique().to_pylist() not in ([], [key]):
            raise DamagedFileError(path, f"it has rows of other trials than {key}")
        return table

    @contextmanager
    def _may_skip(self) -> Iterator[None]:
        try:
            yield
        except DamagedFileError as error:
            if self.skipped is None:
                raise
            self.skipped[error.path] = str(error)
