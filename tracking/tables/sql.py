"""SQL over the three tables (DuckDB), without access to files, network or extensions."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from tracking.errors import QueryError
from tracking.schema import TABLES

_CLOSED = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # or a query could name variables of this program
    "temp_directory": "",  # else .tmp in the working directory, which a query may write
}
_LOCKS = (
    "SET TimeZone = 'UTC'",
    # Without external access there are still files that DuckDB takes for its own: ":memory:".
    "SET disabled_filesystems = 'LocalFileSystem'",
    "SET lock_configuration = true",
)
_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.MULTI,  # what PIVOT becomes
    duckdb.StatementType.EXPLAIN,
}


def answer(query: str, load: Callable[[Iterable[str]], dict[str, pa.Table]]) -> pa.Table:
    """The rows that a query selects; times are in UTC.

    Args:
        query: one SELECT (or FROM, PIVOT, DESCRIBE, EXPLAIN) of DuckDB's SQL.
        load: gives the tables of the names that the query needs.

    Raises:
        QueryError: it is no such query, or it fails.
    """
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"the query is not UTF-8 ({error.reason})") from error
    with _connection() as connection:
        try:
            _check(connection.extract_statements(query))
            for name, table in load(_needed(query)).items():
                connection.register(name, table)
            return connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(str(error).splitlines()[0]) from error


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as DuckDB writes them, also those that Python has none for: infinite times."""
    with _connection() as connection:
        connection.register("given", pa.table({"value": values}))
        return connection.sql("select value::varchar as t from given").to_arrow_table()["t"]


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reaches no file and no network."""
    with duckdb.connect(":memory:", config=_CLOSED) as connection:
        for lock in _LOCKS:
            connection.execute(lock)
        yield connection


def _check(statements: list[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements; need one select")
    if statements[0].type not in _READING:
        raise QueryError(f"a {statements[0].type.name} statement; need a select")


def _needed(query: str) -> list[str]:
    """Tables named in the query; all of them if none is."""
    return [name for name in TABLES if re.search(rf"\b{name}\b", query, re.IGNORECASE)] or [*TABLES]
