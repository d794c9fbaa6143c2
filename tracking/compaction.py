"""Compaction, ``python -m tracking.compaction STORE``: three whole tables that answer fast.

Every trial's rows are copied into a new generation, then the pointer is moved to it, in one step.
Studies may run and queries may be asked meanwhile. Nothing of a trial's own files is touched.
"""

import argparse
import fcntl
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tracking.atomic import write_json, write_link, write_parquet
from tracking.errors import StoreError
from tracking.generation import FOLDER, POINTER, SOURCES, pointed_at
from tracking.schema import SCHEMA_VERSION, TABLES, versioned
from tracking.snapshot import Snapshot
from tracking.store import Store, open_store


def compact(store: Store) -> Path:
    """Write a generation of all trials and point to it; returns ``STORE/parquet``, the pointer.

    The generation before stays, for readers that have just followed the pointer; older ones go.

    Raises:
        StoreError: a trial's file is damaged, or ``STORE/parquet`` is a folder with other things.
    """
    folder, pointer = store.root / FOLDER, store.root / POINTER
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        before = pointed_at(store.root)
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        made = folder / f"{max(numbers, default=0) + 1:06}"
        partial = folder / f".{made.name}"
        shutil.rmtree(partial, ignore_errors=True)  # of a compaction that was killed
        _write(store.snapshot(compacted=False), partial)
        partial.rename(made)
        if before is None:
            _remove_plain_folder(pointer)
        write_link(pointer, made.relative_to(store.root))
        for path in folder.iterdir():
            if path.is_dir() and path not in (made, before):
                shutil.rmtree(path, ignore_errors=True)  # the next compaction tries again
    return pointer


def _write(snapshot: Snapshot, folder: Path) -> None:
    # Signatures come first: a file that is replaced while this reads no longer has the one noted.
    signatures = dict(snapshot.signatures)
    tables = snapshot.tables(TABLES)
    for path in snapshot.skipped or ():
        signatures.pop(path.parent.name, None)
    counts = {name: _rows_by_trial(tables[name]) for name in ("dynamics", "scores")}
    trials = [
        {"trial_id": key, "files": signatures.get(key)}
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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other compactions of the store; the hold ends with the process at latest."""
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        yield


def main(arguments: list[str] | None = None) -> int:
    """Compact a store from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tracking.compaction", description=__doc__)
    parser.add_argument("store", help="folder of the store")
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave damaged files out, and name them"
    )
    options = parser.parse_args(arguments)
    try:
        store = open_store(options.store, skip_damaged=options.skip_damaged)
        pointer = compact(store)
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for reason in store.skipped.values():
        print(f"skipped: {reason}", file=sys.stderr)
    print(f"{pointer} -> {pointer.readlink()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
