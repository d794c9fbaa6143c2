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
from nsa_core.errors import AbsentError, InputError, first_line

_SHARD = re.compile(r"(?:^|[-_])(\d+)[-_]of[-_](\d+)(?:-[0-9a-f]{16})?(?=$|[-_.])")
"""``-00000-of-00002``; Hugging Face's older ones have a hash behind it, another for each shard."""

_NUMBER = re.compile(r"(?<!\d)\d{4,}(?!\d)")
SPLITS = ("train", "test", "validation", "valid", "val")
_MOST_LISTED = 12


def shards(path: Path) -> list[Path]:
    """The file, or all shards of the set that it belongs to, in order.

    Raises:
        AbsentError: there is none.
        InputError: a shard lacks, or is there twice or of another set.
    """
    mark = _SHARD.search(path.stem)
    if not mark:
        if not path.is_file():
            raise AbsentError(f"image Parquet file {str(path)!r} does not exist")
        return [path]
    start, end = path.stem[: mark.start()], path.stem[mark.end() :]
    found: dict[Path, tuple[int, int]] = {}
    for each in sorted(path.parent.glob(f"{glob.escape(start)}*{glob.escape(path.suffix)}")):
        its = _SHARD.search(each.stem)
        if its and (each.stem[: its.start()], each.stem[its.end() :]) == (start, end):
            found[each] = int(its[1]), int(its[2])
    if not found:
        raise AbsentError(f"image Parquet file {str(path)!r} does not exist")
    total = min(total for _, total in found.values())
    first = 0 if (0, total) in found.values() else min(number for number, _ in found.values())
    wanted = {(first + n, total) for n in range(total)} if first in (0, 1) else set()
    ordered = sorted(found, key=lambda each: found[each])
    if set(found.values()) != wanted or len(found) != total:
        width = len(mark[1])
        lacking = sorted({(n, total) for n in range(total)} - set(found.values()))[:_MOST_LISTED]
        names = [f"{start}-{n:0{width}}-of-{total:0{width}}{end}{path.suffix}" for n, _ in lacking]
        wrong = [each.name for each in ordered if found[each] not in wanted]
        raise InputError(
            f"{path.parent / start}: need exactly the shards 0 to {total - 1} of {total}; missing "
            f"or out of place: {', '.join((names + wrong)[:_MOST_LISTED] or map(str, ordered))}"
        )
    return ordered


def check_alone(path: Path) -> None:
    """Raise an InputError if files of the same name with another number lie beside a file: parts of
    a set, of which it would be taken for the whole.
    """
    if _SHARD.search(path.stem):
        return
    for number in _NUMBER.finditer(path.stem):
        start, end = path.stem[: number.start()], path.stem[number.end() :]
        digits = "[0-9]" * len(number[0])
        pattern = f"{glob.escape(start)}{digits}{glob.escape(end + path.suffix)}"
        if others := sorted(set(path.parent.glob(pattern)) - {path}):
            raise InputError(
                f"{path}: {others[0].name} lies beside it, so it may be a part of a split; name "
                "the folder, put all into one file, or ask for split 'all' of this one"
            )


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
            raise AbsentError(
                f"{paths[0]}: no row of split {split!r} (column 'split' has: {listed})"
            )
        return rows
    words = re.split(r"[-_.]", paths[0].stem)
    named = [each for each in SPLITS if each in words]
    if named == [split]:
        return None
    why = f"its name says {' and '.join(named)}" if named else "nothing says so"
    kind = AbsentError if len(named) == 1 else InputError
    raise kind(
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
        found = f"{column.type} ({first_line(error)})"
        raise InputError(f"{path}: column 'split' is {found}; need text such as 'train'") from error
