"""Where the files of a named data set are."""

import os
from pathlib import Path


def data_folder(root: Path | None) -> Path:
    """``root``, else ``$NSA_DATA``, else ``data``."""
    return root or Path(os.environ.get("NSA_DATA", "data"))


def parquet_name(folder: Path, name: str, split: str) -> str | None:
    """The name, with ``{split}`` in it, of ``NAME-SPLIT.parquet`` or of one of its shards
    (``NAME-SPLIT-00000-of-00002.parquet``) in the folder; None if neither is there.
    """
    start = f"{name}-{split}"
    shards = sorted(folder.glob(f"{start}-[0-9]*-of-[0-9]*.parquet"))
    for found in [folder / f"{start}.parquet", *shards]:
        if found.is_file():
            return f"{name}-{{split}}{found.name[len(start) :]}"
    return None
