"""Files that are there whole or not at all."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tracking.storage import ObjectPath, StorePath


def write_json(path: StorePath, value: Any) -> None:
    """Write JSON to a temporary name beside ``path``, sync, rename."""
    data = json.dumps(value, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"
    _write(path, lambda stream: stream.write(data))


def write_parquet(path: StorePath, table: pa.Table) -> None:
    """Write a table to a temporary name beside ``path``, sync, rename."""
    # Texts repeat, numbers hardly do: dictionaries of numbers make small files slow to read.
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    _write(path, lambda stream: pq.write_table(table, stream, use_dictionary=texts))


def write_bytes(path: StorePath, data: bytes) -> None:
    """Write bytes to a temporary name beside ``path``, sync, rename."""
    _write(path, lambda stream: stream.write(data))


def write_link(path: Path, target: Path) -> None:
    """Point a symbolic link at ``target``, in one step where there was another link."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(path)


def _write(path: StorePath, fill: Callable[[BinaryIO], object]) -> None:
    if isinstance(path, ObjectPath):
        buffer = io.BytesIO()
        fill(buffer)
        path.write_bytes(buffer.getvalue())  # which is whole or not at all by nature
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")  # a dot: dataset readers skip it
    try:
        with partial.open("wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
