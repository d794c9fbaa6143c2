"""Compaction, ``python -m tracking.compaction STORE``: three whole tables that answer fast.

Every trial's rows are copied into a new generation, then the pointer is moved to it, in one step.
Studies may run and queries may be asked meanwhile. Nothing of a trial's own files is touched.
"""

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tracking.atomic import write_json, write_parquet
from tracking.errors import StoreError
from tracking.generation import FOLDER, POINTER, SOURCES, Signature, point_at, pointed_at
from tracking.hold import hold, this_process
from tracking.plain_text import plain
from tracking.schema import SCHEMA_VERSION, TABLES, versioned
from tracking.snapshot import Snapshot
from tracking.storage import ObjectPath, StorePath, remove_folder
from tracking.store import Store, open_store

_PATIENCE_S = 600.0
_COARSE_S = 2.1


def compact(store: Store) -> StorePath:
    """Write a generation of all trials and point to it; returns where its tables are found:
    below ``STORE/parquet``, the pointer, or in object storage in the generation itself.

    The generation before stays, for readers that have just followed the pointer; older ones go.

    Raises:
        StoreError: a trial's file is damaged, or ``STORE/parquet`` is a folder with other things.
    """
    folder, pointer = store.root / FOLDER, store.root / POINTER
    with hold(folder / ".lock", this_process("a compaction"), wait_s=_PATIENCE_S):
        before = pointed_at(store.root)
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        made = folder / f"{max(numbers, default=0) + 1:06}"  # nobody reads it before the pointer
        early = _early_signatures(store)
        _write(store.snapshot(compacted=False), made, early)
        if before is None and isinstance(pointer, Path):
            _remove_plain_folder(pointer)
        point_at(store.root, made)
        for path in folder.iterdir():
            if path.name != ".lock" and path not in (made, before):
                remove_folder(path)  # what stays, the next compaction tries again
    return pointer if isinstance(pointer, Path) else made


def _early_signatures(store: Store) -> dict[str, Signature] | None:
    """Where times are whole seconds, a file could be replaced right after it was looked at and have
    the same time. Of one that was the same seconds ago, this cannot be.
    """
    if not isinstance(store.root, ObjectPath):
        return None
    found = store.snapshot(compacted=False).signatures
    time.sleep(_COARSE_S)
    return found


def _write(snapshot: Snapshot, folder: StorePath, early: Mapping[str, Signature] | None) -> None:
    # Signatures come first: a file that is replaced while this reads no longer has the one noted.
    known: dict[str, Signature] = {
        key: now
        for key, now in snapshot.signatures.items()
        if early is None or early.get(key) == now
    }
    tables = snapshot.tables(TABLES)
    for path in snapshot.skipped or ():
        known.pop(path.parent.name, None)
    counts = {name: _rows_by_trial(tables[name]) for name in ("dynamics", "scores")}
    trials = [
        {"trial_id": key, "files": known.get(key)}
        | {name: count[key] for name, count in counts.items()}
        for key in snapshot.records
    ]
    for name, table in tables.items():
        write_parquet(folder / f"{name}.parquet", table.cast(versioned(TABLES[name])))
    write_json(folder / SOURCES, {"schema_version": SCHEMA_VERSION, "trials": trials})


def _rows_by_trial(table: pa.Table) -> Counter[str]:
    found = pc.value_counts(table["trial_id"])
    return Counter(dict(zip(*(found.field(i).to_pylist() for i in (0, 1)), strict=True)))


def _remove_plain_folder(pointer: Path) -> None:
    """Make way where an earlier version of this program has written its three files."""
    if not pointer.exists():
        return
    ours = {f"{name}.parquet" for name in TABLES} | {SOURCES}
    others = sorted({path.name for path in pointer.iterdir()} - ours)
    if others:
        raise StoreError(f"{pointer} also holds {', '.join(others)}; move that away")
    shutil.rmtree(pointer)


def main(arguments: list[str] | None = None) -> int:
    """Compact a store from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tracking.compaction", description=__doc__)
    parser.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave damaged files out, and name them"
    )
    options = parser.parse_args(arguments)
    try:
        store = open_store(options.store, skip_damaged=options.skip_damaged)
        compact(store)
    except StoreError as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    for reason in store.skipped.values():
        print(f"skipped: {plain(reason)}", file=sys.stderr)
    made = pointed_at(store.root)
    print(f"{store.root / POINTER} -> {FOLDER}/{made.name if made else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
