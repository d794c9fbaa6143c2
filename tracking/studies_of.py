"""The names of a store's studies, and trials of which the names were lost."""

import os
from pathlib import Path

from tracking.errors import StoreError
from tracking.files.place import StorePath


def names_of_studies(root: StorePath) -> list[str]:
    """Names of the studies in a store, sorted.

    Raises:
        StoreError: a trial has begun, and nothing says of which study.
    """
    folder = root / "studies"
    if isinstance(folder, Path) and os.path.lexists(folder) and not _is_folder(folder):
        raise StoreError(f"{folder} is no folder; a store has its studies in one")
    found = sorted(path.stem for path in folder.glob("[!.]*.json"))
    trials = root / "trials"
    if not found and any((each / "status.json").exists() for each in trials.glob("[!.]*")):
        raise StoreError(
            f"{folder} names no study, and there are trials; the command of the study writes its "
            "name anew"
        )
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
