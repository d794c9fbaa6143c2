"""Any image Parquet file in the Hugging Face convention: encoded images and integer labels."""

import io
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from nsa_core.data.cache import cached
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

_LONGEST_NAME = 200  # of a class, in characters: names go into tables and pictures
_MOST_CLASSES = 100_000
_MOST_PIXELS = 2**24  # of an image: a few bytes can unpack to gigabytes
_LOG = logging.getLogger(__name__)


def image_parquet(name: str, split: str, root: Path | None) -> ImageSet:
    """Images of one split of a Parquet file.

    ``name`` is a path, relative to ``root`` if given, optionally followed by ``#column`` to name
    the label column (default ``label``). Where the split comes from, in this order: ``{split}``
    in the path is replaced by it; a column ``split`` selects rows; a split named as a word in the
    file's name (``cifar10-train.parquet``) must be the one asked for. ``split="all"`` takes all.
    """
    if not name.isprintable():
        raise InputError(f"data set {name!r} has unprintable characters; rename the file")
    path_text, _, label_column = name.partition("#")
    path = (root or Path()) / path_text.replace("{split}", split)
    if not path.is_file():
        raise InputError(f"image Parquet file {str(path)!r} does not exist")
    label_column = label_column or "label"
    rows = _rows_of(path, split, explicit="{split}" in path_text)
    name = f"{path.stem}-{label_column}-{split if rows is not None else 'whole'}"
    return cached(name, [path], lambda: _decode(path, rows, label_column))


def _rows_of(path: Path, split: str, explicit: bool) -> npt.NDArray[np.int64] | None:
    """The rows of the split, None for all."""
    schema = _open(path).schema_arrow
    if split == "all" or explicit:
        return None
    if "split" in schema.names:
        column = _read(path, ["split"])["split"]
        rows = np.flatnonzero(pc.equal(column, split).to_numpy(zero_copy_only=False))
        if len(rows) == 0:
            found = ", ".join(sorted(map(str, pc.unique(column).to_pylist())))
            raise InputError(f"{path}: no row of split {split!r} (column 'split' has: {found})")
        return rows
    if split in path.stem.replace("_", "-").replace(".", "-").split("-"):
        return None
    raise InputError(
        f"{path}: cannot tell which rows are split {split!r}; name the files with a placeholder "
        "('images-{split}.parquet'), add a column 'split', or ask for split 'all'"
    )


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}); fetch it again") from error


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch it again") from error


def _decode(path: Path, rows: npt.NDArray[np.int64] | None, label_column: str) -> ImageSet:
    schema = _open(path).schema_arrow
    for column in ("image", label_column):
        if column not in schema.names:
            raise InputError(
                f"{path}: no column {column!r} (it has: {', '.join(schema.names)}); "
                "need 'image' and an integer label column, named as 'file.parquet#column'"
            )
    if not pa.types.is_integer(schema.field(label_column).type):
        kind = schema.field(label_column).type
        raise InputError(f"{path}: column {label_column!r} is {kind}; need integers")
    table = _read(path, ["image", label_column])
    if rows is not None:
        table = table.take(pa.array(rows))
    if table.num_rows == 0 or table[label_column].null_count:
        nulls = table[label_column].null_count
        raise InputError(
            f"{path}: {table.num_rows} rows, {nulls} without a label; need labelled rows"
        )
    labels = table[label_column].to_numpy().astype(np.int64)
    image = table["image"]
    if pa.types.is_struct(image.type) and image.type.get_field_index("bytes") >= 0:
        image = pc.struct_field(image, "bytes")
    if not (pa.types.is_binary(image.type) or pa.types.is_large_binary(image.type)):
        raise InputError(f"{path}: column 'image' is {image.type}; need encoded images as bytes")
    _LOG.info("decoding %d images of %s, once for this machine", len(image), path)
    images = _stack(path, image)
    return ImageSet(images, labels, _class_names(path, schema, label_column, int(labels.max()) + 1))


def _stack(path: Path, encoded: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Images [N, C, H, W]: grey if every one of them is, else RGB."""
    height, width = _pixels(path, 0, encoded[0]).shape[:2]
    needed, memory = 3 * height * width * len(encoded), _memory()
    if needed > memory // 2:
        raise InputError(
            f"{path}: {len(encoded)} images of {height}x{width} take {needed / 2**30:.0f} GB "
            f"decoded; need at most half of this machine's {memory / 2**30:.0f} GB"
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter lock
        decode = partial(_pixels, path, size=(width, height))
        decoded = list(pool.map(decode, range(len(encoded)), encoded))
    if any(pixels.ndim == 3 for pixels in decoded):
        decoded = [p if p.ndim == 3 else np.stack([p] * 3, axis=-1) for p in decoded]
        return np.ascontiguousarray(np.stack(decoded).transpose(0, 3, 1, 2))
    return np.stack(decoded)[:, None]


def _memory() -> int:
    """Of this machine, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _pixels(
    path: Path, row: int, data: pa.Scalar, size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """One decoded image, [H, W] if grey, else [H, W, 3]; of ``size`` (W, H) if that is given."""
    try:
        with Image.open(io.BytesIO(data.as_py() or b"")) as image:
            width, height = image.size  # from the header: nothing has been decoded
            if width * height > _MOST_PIXELS:
                raise InputError(
                    f"{path}: row {row} is {height}x{width}; need at most {_MOST_PIXELS} pixels"
                )
            if size and image.size != size:
                raise InputError(
                    f"{path}: row {row} is {height}x{width}, row 0 is {size[1]}x{size[0]}; "
                    "all images must have one size"
                )
            if image.mode.startswith(("I", "F")):
                raise InputError(f"{path}: row {row} has mode {image.mode}; need 8 bits a channel")
            return np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
    except InputError:
        raise
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: row {row} holds no readable image ({error})") from error


def _class_names(path: Path, schema: pa.Schema, label_column: str, classes: int) -> tuple[str, ...]:
    """Names from the metadata ``class_names`` or ``huggingface``; else the numbers themselves."""
    metadata = schema.metadata or {}
    try:
        if b"class_names" in metadata:
            names = json.loads(metadata[b"class_names"])[label_column]
        else:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            names = features[label_column]["names"]
        found = tuple(map(str, names))
    except (KeyError, TypeError, ValueError, RecursionError):
        if classes > _MOST_CLASSES:
            raise InputError(
                f"{path}: labels go up to {classes - 1}; need at most {_MOST_CLASSES} classes"
            ) from None
        return tuple(str(index) for index in range(classes))
    for index, name in enumerate(found):
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(
                f"{path}: the name of class {index} is {name[:_LONGEST_NAME]!r}; need printable "
                f"text of at most {_LONGEST_NAME} characters (metadata 'class_names')"
            )
    return found
