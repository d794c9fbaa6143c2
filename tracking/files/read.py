"""Strict reading of a store's files: complete and of the right types, or a clear error."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracking.errors import DamagedFileError
from tracking.files.door import open_plain
from tracking.files.place import StorePath
from tracking.files.seal import KEY as SEAL
from tracking.files.seal import check_seal
from tracking.schema import KEYS


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
        whole = pa.BufferReader(_sealed(path))  # at once: a column chunk is a few hundred bytes
        file = pq.ParquetFile(whole, read_dictionary=texts, page_checksum_verification=True)
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


def read_any_parquet(path: StorePath) -> pa.Table:
    """The rows of a file in the columns that it has.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no whole Parquet file.
    """
    content = pa.BufferReader(_sealed(path))
    try:
        return pq.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(path, error) from error


def read_json(path: StorePath) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DamagedFileError: there is no such file, or it holds no JSON object.
    """
    try:
        value = json.loads(_sealed(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(path, error) from error
    if not isinstance(value, dict):
        raise DamagedFileError(path, f"it holds a {type(value).__name__}, no object")
    value.pop(SEAL, None)
    return value


def read_bytes(path: StorePath) -> bytes:
    """The content of a file; symbolic links are not followed.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no plain file.
        StoreError: a link leads to it out of the store.
    """
    if not isinstance(path, Path):
        return path.read_bytes()
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as stream:
        return stream.read()


def _sealed(path: StorePath) -> bytes:
    """The content of a file, which is what was written there."""
    data = read_bytes(path)
    check_seal(path, data)
    return data


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
