"""Atomic writes: to a temporary name beside the file, synced, renamed."""

import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracking.files.door import open_plain, refuse_links, unusable
from tracking.files.place import StorePath
from tracking.files.seal import BLANK, KEY, seal

_ROW_GROUP = 2**18


def write_json(path: StorePath, values: Mapping[str, Any]) -> None:
    """Write plain values as a JSON object, sealed."""
    value = {KEY: BLANK, **json.loads(json.dumps(values, sort_keys=True, allow_nan=False))}
    write_bytes(path, seal(path, json.dumps(value, indent=2).encode() + b"\n"))


def write_parquet(path: StorePath, table: pa.Table, schema: pa.Schema | None = None) -> None:
    """Write a table as a Parquet file, sealed, with checksums of its pages for other readers.

    Args:
        schema: of the file, if the table is to be cast to another than its own.
    """
    stream, schema = io.BytesIO(), schema or table.schema
    # Texts repeat, numbers hardly do: dictionaries of numbers make small files slow to read.
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with pq.ParquetWriter(stream, schema, use_dictionary=texts, write_page_checksum=True) as writer:
        for start in range(0, max(1, table.num_rows), _ROW_GROUP):  # decoded, rows are large
            writer.write_table(table.slice(start, _ROW_GROUP).cast(schema), _ROW_GROUP)
        writer.add_key_value_metadata({KEY: BLANK})
    write_bytes(path, seal(path, stream.getvalue()))


def write_link(path: Path, target: Path) -> None:
    """Point a symbolic link at ``target``, in one step where there was another link."""
    refuse_links(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(path)
    except OSError as error:
        raise unusable(path, error) from error


def write_bytes(path: StorePath, data: bytes) -> None:
    """Write bytes as they are.

    Raises:
        StoreError: the system refuses, or a link leads to it out of the store.
    """
    if not isinstance(path, Path):
        path.write_bytes(data)  # which is whole or not at all by nature
        return
    refuse_links(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")  # a dot: dataset readers skip it
    try:
        partial.unlink(missing_ok=True)  # of a process of this number that was killed
        with os.fdopen(open_plain(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
