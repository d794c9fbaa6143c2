"""What the classes of image Parquet files are called."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsa_core.data.image_set import same_spelling
from nsa_core.errors import InputError

_LONGEST_NAME = 200  # in characters: names go into tables and pictures
_MOST_CLASSES = 100_000


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text, each once and numbered (a dictionary) or as it is."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def names_of_text(path: Path, labels: pa.ChunkedArray) -> tuple[str, ...]:
    """The classes of labels that are text: the different ones, sorted."""
    different = labels.cast(pa.string()).unique().drop_null().to_pylist()
    names = tuple(sorted(set(map(same_spelling, different))))
    return checked_names(path, names, len(names), "column of labels")


def numbered(labels: pa.ChunkedArray, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Labels that are text, as indices into ``names``."""
    index = {name: number for number, name in enumerate(names)}
    texts = labels.cast(pa.string()).to_pylist()
    return np.array([index[same_spelling(text)] for text in texts], dtype=np.int64)


def names_of_numbers(path: Path, schema: pa.Schema, column: str, classes: int) -> tuple[str, ...]:
    """Names of the classes of integer labels below ``classes``: what the metadata says of them,
    else the numbers themselves.
    """
    found = described(schema, column)
    if not found:
        found = tuple(map(str, range(min(classes, _MOST_CLASSES + 1))))
    return checked_names(path, found, max(classes, len(found)), "metadata 'class_names'")


def described(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Names from the metadata ``class_names`` or ``huggingface``, a list or a mapping
    ``{"0": "cat"}``; empty if it has none.
    """
    metadata = schema.metadata or {}
    for key in (b"class_names", b"huggingface"):
        try:
            found = json.loads(metadata[key])
            if key == b"huggingface":
                found = found["info"]["features"][column]["names"]
            elif isinstance(found, dict) and column in found:
                found = found[column]
            if names := _in_order(found):
                return names
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
    return ()


def _in_order(found: Any) -> tuple[str, ...]:
    if isinstance(found, dict):
        by_number = {int(key): name for key, name in found.items()}
        last = min(max(by_number, default=-1), _MOST_CLASSES)
        found = [by_number.get(number, str(number)) for number in range(last + 1)]
    return tuple(map(str, found)) if isinstance(found, list) else ()


def checked_names(
    path: Path | str, names: tuple[str, ...], count: int, where: str
) -> tuple[str, ...]:
    """The names of ``count`` classes as they are, or an InputError: too many, two alike, or
    unprintable ones.
    """
    if count > _MOST_CLASSES:
        raise InputError(
            f"{path}: labels go up to {count - 1}; need at most {_MOST_CLASSES} classes"
        )
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise InputError(f"{path}: two classes have the name {twice[0]!r} ({where})")
    for index, name in enumerate(names):
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(
                f"{path}: the name of class {index} is {name[:_LONGEST_NAME]!r}; need printable "
                f"text of at most {_LONGEST_NAME} characters ({where})"
            )
    return names
