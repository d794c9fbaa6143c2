"""Compaction: copy all trials' rows into three tables that are fast to read.

Every trial's rows are copied into a new generation, then the pointer is moved to it, in one step.
Studies may run and queries may be asked meanwhile. Nothing of a trial's own files is touched.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tracking.errors import StoreError
from tracking.files.held import this_process
from tracking.files.hold import hold
from tracking.files.place import StorePath, remove_folder
from tracking.files.write import write_json, write_parquet
from tracking.schema import SCHEMA_VERSION, TABLES, versioned
from tracking.tables.generation import FOLDER, POINTER, SOURCES, point_at, pointed_at
from tracking.tables.snapshot import Snapshot

_PATIENCE_S = 600.0


def compact(root: StorePath, look: Callable[[], Snapshot]) -> StorePath:
    """Write a generation of all trials and point to it; returns where its tables are found:
    below ``STORE/parquet``, the pointer, or in object storage in the generation itself.

    The generation before stays, for readers that have just followed the pointer; older ones go.

    Args:
        root: of the store.
        look: takes a new snapshot of the trials' own files.

    Raises:
        StoreError: a trial's file is damaged, or ``STORE/parquet`` is a folder with other things.
    """
    folder, pointer = root / FOLDER, root / POINTER
    with hold(folder / ".lock", this_process("a compaction"), wait_s=_PATIENCE_S):
        before = pointed_at(root)
        if before is None and isinstance(pointer, Path):
            _check_plain_folder(pointer)
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        made = folder / f"{max(numbers, default=0) + 1:06}"  # nobody reads it before the pointer
        _write(look(), made)
        if before is None and isinstance(pointer, Path) and pointer.exists():
            shutil.rmtree(pointer)
        point_at(root, made)
        for path in folder.iterdir():
            if path.name != ".lock" and path not in (made, before):
                remove_folder(path)  # what stays, the next compaction tries again
    return pointer if isinstance(pointer, Path) else made


def _write(snapshot: Snapshot, folder: StorePath) -> None:
    # Signatures come first: a file that is replaced while this reads no longer has the one noted.
    known = dict(snapshot.signatures)
    tables = snapshot.tables(TABLES)
    for path in snapshot.skipped or ():
        known.pop(path.parent.name, None)
    counts = {name: _rows_by_trial(tables[name]) for name in ("dynamics", "scores")}
    trials = [
        {"trial_id": key, "files": known.get(key)}
        | {name: count[key] for name, count in counts.items()}
        for key in snapshot.records
    ]
    for name in TABLES:  # each is dropped once it is written
        write_parquet(folder / f"{name}.parquet", tables.pop(name), versioned(TABLES[name]))
    write_json(folder / SOURCES, {"schema_version": SCHEMA_VERSION, "trials": trials})


def _rows_by_trial(table: pa.Table) -> Counter[str]:
    found = pc.value_counts(table["trial_id"])
    return Counter(dict(zip(*(found.field(i).to_pylist() for i in (0, 1)), strict=True)))


def _check_plain_folder(pointer: Path) -> None:
    """Raise if what is where the pointer goes is not the plain folder that earlier versions wrote,
    which is removed.
    """
    if not os.path.lexists(pointer):
        return
    if not pointer.is_dir():
        raise StoreError(f"{pointer} is no folder; move it away, and it is made anew")
    ours = {f"{name}.parquet" for name in TABLES} | {SOURCES}
    others = sorted({path.name for path in pointer.iterdir()} - ours)
    if others:
        raise StoreError(f"{pointer} also holds {', '.join(others)}; move that away")
