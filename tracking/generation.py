"""A generation: the three tables of a store at one moment, and the files that they were made of.

``STORE/parquet`` is a symbolic link to ``STORE/generations/000012`` and so the one pointer that
readers follow. A generation is a copy: what it says of a trial holds as long as the trial's own
files are the very ones that it was made of.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracking.errors import DamagedFileError, StoreError
from tracking.reading import read_json, read_parquet
from tracking.schema import SCHEMA_VERSION, TABLES

POINTER, FOLDER, SOURCES = "parquet", "generations", "sources.json"
OF_TRIAL = ("config.json", "status.json", "dynamics.parquet", "scores.parquet")

Signature = list[list[int] | None]


class GenerationError(StoreError):
    """A generation cannot be read: a later one has replaced it, or it is damaged."""


@dataclass(frozen=True)
class Generation:
    """What a reader needs to know of one before it reads a table.

    Attributes:
        folder: where its tables are.
        signatures: of every trial in it; None if its rows are not all there.
        spans: rows of every trial, by table ("dynamics" or "scores") and trial.
    """

    folder: Path
    signatures: dict[str, Signature | None]
    spans: dict[str, dict[str, slice]]

    def table(self, name: str) -> pa.Table:
        """One of its tables, whole; strings of dynamics and scores are dictionary-encoded.

        Raises:
            GenerationError: it is gone or damaged.
        """
        path = self.folder / f"{name}.parquet"
        try:
            table = read_parquet(path, TABLES[name], encoded=name in self.spans)
        except (FileNotFoundError, DamagedFileError) as error:
            raise _unusable(path, error) from error
        if name in self.spans:
            rows = max((span.stop for span in self.spans[name].values()), default=0)
            if rows != table.num_rows:
                raise _unusable(path, f"{table.num_rows} rows, need {rows}")
        return table


def pointed_at(root: Path) -> Path | None:
    """The folder of a store's current generation; None if it was never compacted.

    Raises:
        StoreError: the pointer names something else.
    """
    pointer = root / POINTER
    if not pointer.is_symlink():
        return None
    target = pointer.readlink()
    if target.parent != Path(FOLDER) or not target.name.isdigit():
        raise StoreError(f"{pointer} points to {target}; need {FOLDER}/NUMBER; remove the link")
    return root / target


def open_generation(folder: Path) -> Generation | None:
    """A generation without its tables; None if it is of another schema version.

    Raises:
        GenerationError: it is gone or damaged.
    """
    path = folder / SOURCES
    try:
        sources = read_json(path)
        if sources["schema_version"] != SCHEMA_VERSION:
            return None
        trials: list[dict[str, Any]] = sources["trials"]  # in the order of the tables' rows
        signatures = {trial["trial_id"]: trial["files"] for trial in trials}
        spans = {name: _spans(trials, name) for name in ("dynamics", "scores")}
    except (DamagedFileError, KeyError, TypeError) as error:
        raise _unusable(path, error) from error
    return Generation(folder, signatures, spans)


def signature(folder: Path) -> Signature:
    """Inode, size and time of the last change, in ns, of the files of a trial that tables are
    made of; None for one that is not there. A file that was replaced has another signature.

    Raises:
        StoreError: one of them is a link or no file at all.
    """
    found: dict[str, list[int]] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in OF_TRIAL:
                if not entry.is_file(follow_symlinks=False):
                    raise StoreError(
                        f"{entry.path} is no plain file; a store holds its files itself"
                    )
                status = entry.stat(follow_symlinks=False)
                found[entry.name] = [status.st_ino, status.st_size, status.st_mtime_ns]
    return [found.get(name) for name in OF_TRIAL]


def _spans(trials: list[dict[str, Any]], name: str) -> dict[str, slice]:
    spans, start = {}, 0
    for trial in trials:
        spans[trial["trial_id"]] = slice(start, start + trial[name])
        start += trial[name]
    return spans


def _unusable(path: Path, reason: object) -> GenerationError:
    root = path.parents[2]
    return GenerationError(
        f"{path} cannot be read ({reason}); python -m tracking.compaction {root} makes it anew"
    )
