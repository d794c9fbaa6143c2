"""Which Parquet files, and which of their rows, are a split."""

import glob
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nsa_core.data.class_names import described
from nsa_core.data.parquet_file import open_parquet, read_column
from nsa_core.errors import InputError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
SPLITS = ("train", "test", "validation", "valid", "val")
_MOST_LISTED = 12


def shards(path: Path) -> list[Path]:
    """The file, or all shards of the set that it belongs to, in order."""
    found = _SHARD.search(path.stem)
    if not found:
        if not path.is_file():
            raise InputError(f"image Parquet file {str(path)!r} does not exist")
        return [path]
    start = path.stem[: found.start()]
    pattern = f"{glob.escape(start)}-?????-of-?????{glob.escape(path.suffix)}"
    shards = sorted(each for each in path.parent.glob(pattern) if _SHARD.search(each.stem))
    if not shards:
        raise InputError(f"image Parquet file {str(path)!r} does not exist")
    total = int(shards[0].stem[-5:])
    wanted = [path.with_name(f"{start}-{n:05}-of-{total:05}{path.suffix}") for n in range(total)]
    if shards != wanted:
        wrong = sorted({each.name for each in shards} ^ {each.name for each in wanted})
        raise InputError(
            f"{path.parent / start}: need exactly the shards 0 to {total - 1} of {total}; missing "
            f"or out of place: {', '.join(wrong)}"
        )
    return shards


def rows_of(paths: list[Path], split: str, explicit: bool) -> npt.NDArray[np.int64] | None:
    """The rows of the split, counted over all files; None for all."""
    schema = open_parquet(paths[0]).schema_arrow
    if split == "all" or explicit:
        return None
    if "split" in schema.names:
        column = _as_text(paths[0], read_column(paths, "split"), described(schema, "split"))
        rows = np.flatnonzero(pc.fill_null(pc.equal(column, split), False).to_numpy())
        if len(rows) == 0:
            found = sorted(map(repr, pc.unique(column).to_pylist()))
            listed = ", ".join(found[:_MOST_LISTED]) + ", ..." * (len(found) > _MOST_LISTED)
            raise InputError(
                f"{paths[0]}: no row of split {split!r} (column 'split' has: {listed})"
            )
        return rows
    words = re.split(r"[-_.]", paths[0].stem)
    named = [each for each in SPLITS if each in words]
    if named == [split]:
        return None
    why = f"its name says {' and '.join(named)}" if len(named) > 1 else "nothing says so"
    raise InputError(
        f"{paths[0]}: cannot tell which rows are split {split!r} ({why}); name the files with a "
        "placeholder ('images-{split}.parquet'), add a column 'split', or ask for split 'all'"
    )


def _as_text(path: Path, column: pa.ChunkedArray, names: tuple[str, ...]) -> pa.ChunkedArray:
    """The column as text; ``names`` are what its numbers stand for, if they stand for names."""
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if names and pa.types.is_integer(column.type):
            column = pa.chunked_array([pa.array(names).take(column.combine_chunks())])
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise InputError(
            f"{path}: column 'split' is {column.type} ({error}); need text such as 'train'"
        ) from error
