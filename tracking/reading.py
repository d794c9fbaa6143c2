"""The files of a store, read strictly: whole and of the right types, or an error names them."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracking.errors import DamagedFileError
from tracking.schema import KEYS
from tracking.storage import StorePath


def read_parquet(
    path: StorePath,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    encoded: bool = False,
) -> pa.Table:
    """The rows of a file in the columns of ``schema``, or in those of them that are named.

    Columns that the file lacks, because an older version wrote it, are null; columns that the
    schema lacks are left out. A type is never changed, but for ``encoded``: strings then come
    dictionary-encoded, which is several times faster where they repeat.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no whole Parquet file, lacks a key, or has a column of another type.
    """
    expected, texts = _expected(schema) if encoded else (schema, ())
    try:
        whole = pa.BufferReader(_content(path))  # at once: a column chunk is a few hundred bytes
        file = pq.ParquetFile(whole, read_dictionary=texts)
        found = file.schema_arrow
        if columns is None and found.equals(expected):  # nearly always, and then twice as fast
            return file.read(use_threads=False).replace_schema_metadata(None)
        wanted = [expected.field(name) for name in columns or expected.names]
        present = _checked(path, found, wanted)
        table = file.read(columns=present, use_threads=False)
    except FileNotFoundError:
        raise
    except KeyError as error:  # of a name in read_dictionary
        raise DamagedFileError(path, f"no column {error.args[0].decode()!r}") from error
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(path, error) from error
    for field in wanted:
        if field.name not in present:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select([field.name for field in wanted]).replace_schema_metadata(None)


def read_json(path: StorePath) -> dict[str, Any]:
    """The object in a file.

    Raises:
        DamagedFileError: there is no such file, or it holds no JSON object.
    """
    try:
        value = json.loads(_content(path))
    except (OSError, ValueError) as error:
        raise DamagedFileError(path, error) from error
    if not isinstance(value, dict):
        raise DamagedFileError(path, f"it holds a {type(value).__name__}, no object")
    return value


def _content(path: StorePath) -> bytes:
    """All of a file; a link is not followed, wherever it leads."""
    if not isinstance(path, Path):
        return path.read_bytes()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return stream.read()


@cache
def _expected(schema: pa.Schema) -> tuple[pa.Schema, tuple[str, ...]]:
    """A schema with its strings dictionary-encoded, and their names."""
    texts = tuple(field.name for field in schema if pa.types.is_string(field.type))
    encoded = pa.dictionary(pa.int32(), pa.string())
    fields = [field.with_type(encoded) if field.name in texts else field for field in schema]
    return pa.schema(fields), texts


def _checked(path: StorePath, found: pa.Schema, wanted: Sequence[pa.Field]) -> list[str]:
    """Names of the wanted columns that are there, each of the right type."""
    present = []
    for field in wanted:
        position = found.get_field_index(field.name)
        if position >= 0:
            kind = found.field(position).type
            if kind != field.type:
                raise DamagedFileError(path, f"column {field.name!r} is {kind}, need {field.type}")
            present.append(field.name)
        elif field.name in KEYS:
            raise DamagedFileError(path, f"no column {field.name!r}")
    return present
