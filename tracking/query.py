"""Ask a store: ``nsa query STORE "select ..."``, or ``python -m tracking.query``.

The tables are trials, dynamics and scores; docs/results_schema.md says what their columns mean.
"""

import argparse
import io
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tracking.errors import QueryError, StoreError
from tracking.files.door import make_folder
from tracking.files.write import write_bytes
from tracking.opening import open_store
from tracking.schema import TABLES
from tracking.text import print_anything, printable


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="nsa query", description=__doc__)
    made.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    made.add_argument("query", help="one select, in DuckDB's SQL")
    made.add_argument("--out", metavar="FILE", help=".csv or .parquet, instead of printing")
    made.add_argument(
        "--skip-damaged", action="store_true", help="leave damaged files out, and name them"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Print or write what a query selects; returns the exit status, 2 for bad input."""
    print_anything()
    options = parser().parse_args(arguments)
    try:
        out = _checked_out(options.out) if options.out else None
        store = open_store(options.store, skip_damaged=options.skip_damaged)
        table = store.sql(_as_typed(options.query))
        for reason in store.skipped.values():
            print(f"skipped: {printable(reason)}", file=sys.stderr)
        if out is None:
            print(aligned(_told(table)))
        else:
            _write(out, table)
            print(f"{table.num_rows} rows in {out}")
    except StoreError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        if isinstance(error, QueryError):
            print(_hint(), file=sys.stderr)
        return 2
    return 0


def _as_typed(argument: str) -> str:
    """An argument as UTF-8, whatever the terminal's language: Python takes it for ASCII in some."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def aligned(table: pa.Table) -> str:
    """A table as text: numbers to the right, six digits of a fraction, nothing for null."""
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = [printable(name), *map(_cell, column.to_pylist())]
        width = max(map(_width, cells))
        right = _is_number(column.type)
        padding = [" " * (width - _width(cell)) for cell in cells]
        shown = [
            pad + cell if right else cell + pad for pad, cell in zip(padding, cells, strict=True)
        ]
        columns.append([shown[0], "-" * width, *shown[1:]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _checked_out(name: str) -> Path:
    path = Path(name)
    if path.suffix not in (".csv", ".parquet"):
        raise StoreError(f"--out is {name!r}; need a name that ends in .csv or .parquet")
    return path


def _write(path: Path, table: pa.Table) -> None:
    try:
        stream = io.BytesIO()
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, stream)
        else:
            pyarrow.csv.write_csv(_told(table), stream)
        make_folder(path.parent)
        write_bytes(path, stream.getvalue())
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be written ({error})") from error


def _told(table: pa.Table) -> pa.Table:
    """With text for times that Python and CSV have no values for: infinity, the year 20000."""
    from tracking.tables.sql import as_text  # imports DuckDB, which --help does not need

    for place, column in enumerate(table.columns):
        if pa.types.is_temporal(column.type) or pa.types.is_nested(column.type):
            try:
                column.to_pylist()
            except (OverflowError, ValueError):
                table = table.set_column(place, table.column_names[place], as_text(column))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _hint() -> str:
    lines = [f"  {name}: {', '.join(schema.names)}" for name, schema in TABLES.items()]
    return "\n".join(["hint: one select over these tables and columns:", *lines])


if __name__ == "__main__":
    sys.exit(main())
