"""Reading Parquet files of others: every error names the file, images come a few at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nsa_core.errors import InputError, first_line

_ROWS_AT_ONCE = 8
"""Of images. Arrow holds no more than 2 GiB in an array inside of a struct, and a row group of
images may be larger; a single image is not."""


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file, or raise an InputError that names it."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a whole Parquet file ({first_line(error)}); fetch it again"
        ) from error


def read_column(paths: list[Path], name: str) -> pa.ChunkedArray:
    """A column of all files, one after another; an InputError names the file that is damaged."""
    chunks: list[pa.Array] = []
    kind = open_parquet(paths[0]).schema_arrow.field(name).type
    for path in paths:
        try:
            column = open_parquet(path).read([name])[name]
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error
        if column.type != kind:
            raise InputError(
                f"{path}: column {name!r} is {column.type}, in {paths[0]} it is {kind}"
            )
        chunks += column.chunks
    return pa.chunked_array(chunks, kind)


def encoded_images(path: Path, column: str = "image") -> Iterator[bytes]:
    """The bytes of every row of the column, empty where it has none."""
    try:
        for batch in open_parquet(path).iter_batches(_ROWS_AT_ONCE, columns=[column]):
            image = batch[column]
            if pa.types.is_struct(image.type) and image.type.get_field_index("bytes") >= 0:
                image = pc.struct_field(image, "bytes")
            if not (pa.types.is_binary(image.type) or pa.types.is_large_binary(image.type)):
                raise InputError(
                    f"{path}: column {column!r} is {image.type}; need encoded images as bytes"
                )
            yield from (each.as_py() or b"" for each in image)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({first_line(error)}); fetch it again")
