"""A generation: the three tables of a store at one moment, and the files that they were made of.

``STORE/parquet`` is a symbolic link to ``STORE/generations/000012`` and so the one pointer that
readers follow; in object storage it is an object that holds this name. A generation is a copy: what
it says of a trial holds as long as the trial's own files are the very ones that it was made of.
"""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracking.errors import DamagedFileError, StoreError
from tracking.files.objects import ObjectPath
from tracking.files.place import StorePath
from tracking.files.read import read_json, read_parquet
from tracking.files.write import write_bytes, write_link
from tracking.schema import SCHEMA_VERSION, TABLES

POINTER, FOLDER, SOURCES = "parquet", "generations", "sources.json"
OF_TRIAL = ("config.json", "status.json", "dynamics.parquet", "scores.parquet")

Signature = list[list[int] | str | None]


class GenerationError(StoreError):
    """A generation cannot be read: a later one has replaced it, or it is damaged."""


@dataclass(frozen=True)
class Generation:
    """Index of a generation: which trials it holds, and where their rows are.

    Attributes:
        folder: where its tables are.
        signatures: of every trial in it; None if its rows are not all there.
        spans: rows of every trial, by table ("dynamics" or "scores") and trial.
    """

    folder: StorePath
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
        except DamagedFileError as error:
            raise _unusable(path, error.reason) from error
        except FileNotFoundError as error:
            raise _unusable(path, error.strerror) from error
        if name in self.spans:
            rows = max((span.stop for span in self.spans[name].values()), default=0)
            if rows != table.num_rows:
                raise _unusable(path, f"{table.num_rows} rows, need {rows}")
        return table


def pointed_at(root: StorePath) -> StorePath | None:
    """The folder of a store's current generation; None if it was never compacted.

    Raises:
        StoreError: the pointer names something else.
    """
    pointer = root / POINTER
    if isinstance(pointer, ObjectPath):
        try:
            target = Path(pointer.read_bytes().decode("utf-8", "replace"))
        except FileNotFoundError:
            return None
    else:
        if not pointer.is_symlink():
            return None
        target = pointer.readlink()
    if target.parent != Path(FOLDER) or not target.name.isdigit():
        raise StoreError(f"{pointer} points to {target}; need {FOLDER}/NUMBER; remove the link")
    return root / FOLDER / target.name


def point_at(root: StorePath, folder: StorePath) -> None:
    """Atomically make a generation the current one."""
    target, pointer = Path(FOLDER, folder.name), root / POINTER
    if isinstance(pointer, ObjectPath):
        write_bytes(pointer, str(target).encode())
    else:
        write_link(pointer, target)


def open_generation(folder: StorePath) -> Generation | None:
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
    except DamagedFileError as error:
        raise _unusable(path, error.reason) from error
    except (KeyError, TypeError) as error:
        raise _unusable(path, f"{type(error).__name__} {error}") from error
    return Generation(folder, signatures, spans)


def signatures(folders: Sequence[StorePath]) -> list[Signature]:
    """Of each trial's folder: what tells of every file that tables are made of whether it is still
    the same; None for one that is not there. All folders have one parent.

    In a folder these are inode, size and time of the last change, in ns, and a file that was
    replaced always has others. In object storage it is the version tag.

    Raises:
        StoreError: one of them is a link or no file at all.
    """
    if folders and isinstance(parent := folders[0].parent, ObjectPath):
        tags = parent.tags()  # one listing, not one a trial
        return [[tags.get(f"{each.name}/{name}") for name in OF_TRIAL] for each in folders]
    return [_signature(folder) for folder in folders if isinstance(folder, Path)]


def _signature(folder: Path) -> Signature:
    found: dict[str, list[int]] = {}
    try:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in OF_TRIAL:
                    if not entry.is_file(follow_symlinks=False):
                        raise StoreError(
                            f"{entry.path} is no plain file; a store holds its files itself"
                        )
                    status = entry.stat(follow_symlinks=False)
                    found[entry.name] = [status.st_ino, status.st_size, status.st_mtime_ns]
    except NotADirectoryError as error:
        wrong = folder if folder.parent.is_dir() else folder.parent
        raise StoreError(f"{wrong} is no folder; a store has one for each trial") from error
    return [found.get(name) for name in OF_TRIAL]


def _spans(trials: list[dict[str, Any]], name: str) -> dict[str, slice]:
    spans, start = {}, 0
    for trial in trials:
        spans[trial["trial_id"]] = slice(start, start + trial[name])
        start += trial[name]
    return spans


def _unusable(path: StorePath, reason: object) -> GenerationError:
    root = path.parent.parent.parent
    command = f"nsa compact {shlex.quote(str(root))}"
    return GenerationError(f"{path} cannot be read ({reason}); {command} makes it anew")
