"""Open or create a store."""

import json
import shlex
from pathlib import Path
from typing import Any

from tracking.errors import DamagedFileError, StoreError
from tracking.files.door import MARKER, make_folder
from tracking.files.place import StorePath, locate
from tracking.files.read import read_json
from tracking.files.write import write_bytes
from tracking.schema import SCHEMA_VERSION
from tracking.store import Store


def open_store(path: str | StorePath, *, skip_damaged: bool = False) -> Store:
    """Open a store that exists.

    Args:
        path: its folder, or ``s3://BUCKET/PREFIX``.
        skip_damaged: leave out what cannot be read of trials and list it in ``Store.skipped``,
            where otherwise the first damaged file is an error.

    Raises:
        StoreError: there is no store at ``path``, or it is of a newer schema version.
    """
    root = locate(path)
    marker = root / MARKER
    if not marker.is_file():
        given = shlex.quote(str(root))
        raise StoreError(f"no store at {root}; a study makes one with --store {given}")
    found = _schema_version(marker)
    if not isinstance(found, int) or not 1 <= found <= SCHEMA_VERSION:
        raise StoreError(
            f"store {root} has schema version {found!r}, this program reads 1 to {SCHEMA_VERSION}; "
            "give another --store, or use the program version that made it"
        )
    return Store(root, skip_damaged=skip_damaged)


def create_store(path: str | StorePath) -> Store:
    """Open a store to write to, making it first where there is none.

    A store of an older schema version becomes one of this version: its files stay as they are, and
    the columns that they lack read as null.
    """
    root = locate(path)
    if not (root / MARKER).exists():
        # Another driver may be making the store at this moment: names with a dot are its first,
        # then comes store.json, so who has seen others looks for that again.
        strange = root.exists() and (not root.is_dir() or any(map(_holds, root.glob("[!.]*"))))
        if strange and not (root / MARKER).exists():
            raise StoreError(f"{root} exists and is not a store; give an empty or a new folder")
        _mark(root)
    store = open_store(root)
    if _schema_version(root / MARKER) < SCHEMA_VERSION:
        _mark(root)
    return store


def _holds(path: StorePath) -> bool:
    """Whether there is anything but folders and files whose names begin with a dot, as a store
    leaves behind that is removed while it is written.
    """
    if not isinstance(path, Path) or path.is_symlink() or not path.is_dir():
        return True
    return any(map(_holds, path.glob("[!.]*")))


def _mark(root: StorePath) -> None:
    if isinstance(root, Path):
        make_folder(root)
    text = json.dumps({"schema_version": SCHEMA_VERSION}, indent=2)
    write_bytes(root / MARKER, text.encode() + b"\n")  # no seal: a store may be renamed


def _schema_version(marker: StorePath) -> Any:
    try:
        return read_json(marker)["schema_version"]
    except (DamagedFileError, KeyError) as error:
        raise StoreError(
            f"{marker} is damaged ({error}); it should hold a schema_version"
        ) from error
