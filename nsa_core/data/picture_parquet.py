"""The images of Parquet files: a file, its shards, or a folder of them as Hugging Face lays it out.

Of a folder, the split is a word of a file's path below it (``data/train-00000-of-00002.parquet``,
``default/test/0000.parquet``), else the column ``split``, as of a single file.
"""

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsa_core.data.class_names import is_text, names_of_numbers, names_of_text, numbered
from nsa_core.data.image_parquet import path_and_column
from nsa_core.data.parquet_file import encoded_images, open_parquet, read_column
from nsa_core.data.parquet_split import SPLITS, check_alone, rows_of, shards
from nsa_core.data.picture_source import Encoded, Found, valid_text
from nsa_core.errors import AbsentError, InputError, unknown

_IMAGE_COLUMNS = ("image", "img")
_LABEL = "label"
_SPLIT = "{split}"


def parquet_pictures(text: str, split: str | None) -> Found:
    """The images of ``PATH.parquet`` or ``PATH.parquet#label_column``, and of shards beside it.

    ``{split}`` in the path stands for the split.
    """
    path, column = path_and_column(text)
    files = {each: _shards(path, each) for each in ("train", "test")} if _SPLIT in path else {}
    paths = files.get(split or "") or shards(Path(path.replace(_SPLIT, split or _SPLIT)))
    if split is not None:
        check_alone(paths[0])
    rows = None if split is None else rows_of(paths, split, explicit=bool(files))
    whole = [each for some in files.values() for each in some] or paths
    return _found(path, paths, [each.name for each in paths], rows, column, whole)


def _shards(path: str, split: str) -> list[Path]:
    with contextlib.suppress(InputError):  # said when that split itself is asked for
        return shards(Path(path.replace(_SPLIT, split)))
    return []


def folder_parquet(folder: Path, paths: list[Path], split: str | None) -> Found:
    """The images of all Parquet files of a folder, or of those of a split."""
    for path in paths:
        if missing := sorted(set(shards(path)) - set(paths)):
            raise InputError(f"{folder}: {missing[0].name} is no plain file below the folder")
    chosen, rows = paths, None
    by_split = splits_of_paths(folder, paths)
    if split is not None and by_split:
        if split not in by_split:
            raise AbsentError(str(unknown(f"split of folder {str(folder)!r}", split, by_split)))
        chosen = by_split[split]
    elif split is not None:
        rows = rows_of(paths, split, explicit=False)
    names = [valid_text(path.relative_to(folder).as_posix()) for path in chosen]
    return _found(str(folder), chosen, names, rows, None, paths)


def splits_of_paths(folder: Path, paths: list[Path]) -> dict[str, list[Path]]:
    """Paths by the split that a word of theirs names; a path without one is in none.

    Raises:
        InputError: a path names two.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        inside = path.relative_to(folder).as_posix()
        words = re.split(r"[-_./]", inside.lower())
        named = [split for split in SPLITS if split in words]
        if len(named) > 1:
            raise InputError(
                f"{folder}: {inside} names the splits {' and '.join(named)}; need one for each file"
            )
        for split in named:
            found.setdefault(split, []).append(path)
    return found


def _found(
    where: str,
    paths: list[Path],
    names: list[str],
    rows: npt.NDArray[np.int64] | None,
    column: str | None,
    whole: list[Path],
) -> Found:
    """``rows`` are counted over all ``paths``; the classes are those of ``whole``."""
    image = _image_column(paths)
    counts = [open_parquet(path).metadata.num_rows for path in paths]
    every = [f"{name}:{row}" for name, n in zip(names, counts, strict=True) for row in range(n)]
    chosen = range(len(every)) if rows is None else rows.tolist()
    labels, class_names = _labels(paths, whole, column)
    return Found(
        where=where,
        names=tuple(every[row] for row in chosen),
        labels=None if labels is None else tuple(labels[row] for row in chosen),
        class_names=class_names,
        encoded=lambda: _encoded(paths, image, None if rows is None else set(rows.tolist())),
    )


def _encoded(paths: list[Path], column: str, rows: set[int] | None) -> Iterator[Encoded]:
    number = 0
    for path in paths:
        for data in encoded_images(path, column):
            if rows is None or number in rows:
                yield partial(bytes, data)
            number += 1


def _image_column(paths: list[Path]) -> str:
    """``image``, ``img``, or the only column that can hold encoded images."""
    schema = open_parquet(paths[0]).schema_arrow
    likely = [name for name in _IMAGE_COLUMNS if name in schema.names]
    holds = [field.name for field in schema if _holds_images(field.type)]
    if not likely and len(holds) != 1:
        raise InputError(
            f"{paths[0]}: no column 'image' (it has: {', '.join(schema.names)}); need encoded "
            "images in it"
        )
    column = (likely or holds)[0]
    for path in paths:
        if open_parquet(path).schema_arrow.names.count(column) != 1:
            raise InputError(f"{path}: no column {column!r}, which {paths[0]} has")
    return column


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return "bytes" in [field.name for field in kind]
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _labels(
    paths: list[Path], whole: list[Path], column: str | None
) -> tuple[list[str] | None, tuple[str, ...]]:
    """A label for every row of ``paths``, if every row has one, and the classes of ``whole``."""
    name = column or _LABEL
    schemas = [open_parquet(path).schema_arrow for path in whole]
    if not all(schema.names.count(name) == 1 for schema in schemas):
        if column:
            raise InputError(
                f"{whole[0]}: no column {column!r} (it has: {', '.join(schemas[0].names)})"
            )
        return None, ()
    values, every = read_column(paths, name), read_column(whole, name)
    if is_text(every.type):
        names = names_of_text(whole[0], every)
        return None if values.null_count else [names[i] for i in numbered(values, names)], names
    if pa.types.is_dictionary(every.type):
        values, every = (each.cast(each.type.value_type) for each in (values, every))
    if not pa.types.is_integer(every.type):
        if column:
            raise InputError(f"{whole[0]}: column {name!r} is {every.type}; need integers or text")
        return None, ()
    numbers = every.drop_null().to_numpy()
    if not len(numbers) or numbers.min() < 0:  # Hugging Face's -1 is "none"
        return None, ()
    names = names_of_numbers(whole[0], schemas[0], name, int(numbers.max()) + 1)
    return None if values.null_count else [names[i] for i in values.to_numpy()], names
