"""Image Parquet files in the Hugging Face convention: encoded images, and labels that are integers
or text.
"""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsa_core.data.cache import cached
from nsa_core.data.class_names import is_text, names_of_numbers, names_of_text, numbered
from nsa_core.data.decode import ImageError, decode_image
from nsa_core.data.image_set import ImageSet
from nsa_core.data.parquet_file import encoded_images, open_parquet, read_column
from nsa_core.data.parquet_split import check_alone, rows_of, shards
from nsa_core.errors import InputError
from nsa_core.limits import usable_cores, usable_memory

_SUFFIX = ".parquet"
_IMAGES_AT_ONCE = 512  # that are read, then decoded side by side
_LOG = logging.getLogger(__name__)

Encoded = tuple[Path, int, bytes]
"""A file, a row in it, and the image there."""


def is_image_parquet(name: str) -> bool:
    """Whether a data set's name is the path of a Parquet file, with or without ``#column``."""
    return name.endswith(_SUFFIX) or f"{_SUFFIX}#" in name


def image_parquet(name: str, split: str, root: Path | None) -> ImageSet:
    """Images of one split of a Parquet file, or of all its shards.

    ``name`` is a path, relative to ``root`` if given, optionally followed by ``#column`` to name
    the label column (default ``label``). Of a shard (``train-00000-of-00002.parquet``) all shards
    are read; none may be missing. Where the split comes from, in this order: ``{split}`` in the
    path is replaced by it; a column ``split`` selects rows; a split named as a word in the file's
    name (``cifar10-train.parquet``) must be the one asked for, and the only one.
    ``split="all"`` takes all. Labels that are text are numbered in the order of the alphabet, over
    both splits.
    """
    if not name.isprintable():
        raise InputError(f"data set {name!r} has unprintable characters; rename the file")
    path_text, named = path_and_column(name)
    label_column = named or "label"
    paths = _files(path_text, split, root)
    rows = rows_of(paths, split, explicit="{split}" in path_text)
    _check_columns(paths, label_column)
    words = None
    if is_text(open_parquet(paths[0]).schema_arrow.field(label_column).type):
        whole = paths if "{split}" not in path_text else _both(path_text, label_column, root)
        words = names_of_text(paths[0], read_column(whole, label_column))
    name = f"{paths[0].stem}-{label_column}-{split if rows is not None else 'whole'}"
    entry = f"{name}-{words}" if words else name
    return cached(entry, paths, lambda: _decode(paths, rows, label_column, words))


def path_and_column(name: str) -> tuple[str, str | None]:
    """The path, whose folders may have a ``#`` too, and the label column that the name has."""
    if name.endswith(_SUFFIX):
        return name, None
    path, _, column = name.rpartition(f"{_SUFFIX}#")
    return path + _SUFFIX, column or None


def _files(path_text: str, split: str, root: Path | None) -> list[Path]:
    path = (root or Path()) / path_text.replace("{split}", split)
    if split != "all":
        check_alone(path)
    return shards(path)


def _both(path_text: str, label_column: str, root: Path | None) -> list[Path]:
    """The files of both splits, as far as they are there."""
    found: list[Path] = []
    for split in ("train", "test"):
        with contextlib.suppress(InputError):  # said when that split itself is asked for
            paths = _files(path_text, split, root)
            _check_columns(paths, label_column)
            found += paths
    return found


def _check_columns(paths: list[Path], label_column: str) -> None:
    for each in paths:
        names = open_parquet(each).schema_arrow.names
        for column in ("image", label_column):
            if names.count(column) != 1:
                raise InputError(
                    f"{each}: no column {column!r} (it has: {', '.join(names)}); "
                    "need 'image' and a label column, named as 'file.parquet#column'"
                )


def _decode(
    paths: list[Path],
    rows: npt.NDArray[np.int64] | None,
    label_column: str,
    words: tuple[str, ...] | None,
) -> ImageSet:
    path = paths[0]
    column = read_column(paths, label_column)
    if rows is not None:
        column = column.take(pa.array(rows))
    if len(column) == 0 or column.null_count:
        raise InputError(
            f"{path}: {len(column)} rows, {column.null_count} without a label; need labelled rows"
        )
    if words is not None:
        labels, names = numbered(column, words), words
    else:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not pa.types.is_integer(column.type):
            raise InputError(
                f"{path}: column {label_column!r} is {column.type}; need integers or text"
            )
        labels = column.to_numpy().astype(np.int64)
        schema = open_parquet(path).schema_arrow
        names = names_of_numbers(path, schema, label_column, int(labels.max()) + 1)
    _LOG.info("decoding %d images of %s, once for this machine", len(labels), path)
    return ImageSet(_stack(_wanted(paths, rows), len(labels)), labels, names)


def _wanted(paths: list[Path], rows: npt.NDArray[np.int64] | None) -> Iterator[Encoded]:
    """The images of the rows, which are counted over all files and ascend."""
    left = None if rows is None else set(rows.tolist())
    number = 0
    for path in paths:
        for row, data in enumerate(encoded_images(path)):
            if left is None or number in left:
                yield path, row, data
            number += 1


def _stack(encoded: Iterator[Encoded], count: int) -> npt.NDArray[np.uint8]:
    """Images [N, C, H, W]: grey if every one of them is, else RGB."""
    first = next(encoded)
    decoded = [_pixels(first)]
    height, width = decoded[0].shape[:2]
    needed, memory = 3 * height * width * count, usable_memory()
    if needed > memory // 4:  # there are three copies for a moment
        raise InputError(
            f"{first[0]}: {count} images of {height}x{width} take {needed / 2**30:.1f} GB "
            f"decoded; need at most a quarter of the {memory / 2**30:.1f} GB that this process has"
        )
    decode = partial(_pixels, size=(height, width))
    with ThreadPoolExecutor(usable_cores()) as pool:  # Pillow lets go of the interpreter
        while some := list(islice(encoded, _IMAGES_AT_ONCE)):
            decoded += pool.map(decode, some)
    if any(pixels.ndim == 3 for pixels in decoded):
        decoded = [p if p.ndim == 3 else np.stack([p] * 3, axis=-1) for p in decoded]
        return np.ascontiguousarray(np.stack(decoded).transpose(0, 3, 1, 2))
    return np.stack(decoded)[:, None]


def _pixels(encoded: Encoded, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """One decoded image, [H, W] if grey, else [H, W, 3]; of ``size`` (H, W) if that is given."""
    path, row, data = encoded
    try:
        pixels = decode_image(data)
    except ImageError as error:
        raise InputError(f"{path}: row {row} holds no readable image ({error})") from error
    if size and pixels.shape[:2] != size:
        height, width = pixels.shape[:2]
        raise InputError(
            f"{path}: row {row} is {height}x{width}, the first image is {size[0]}x{size[1]}; "
            "all images must have one size"
        )
    return pixels
