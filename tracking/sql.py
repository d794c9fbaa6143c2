"""SQL over the three tables (DuckDB), shut off from files, network and extensions."""

import re
from collections.abc import Callable, Iterable

import duckdb
import pyarrow as pa

from tracking.errors import QueryError
from tracking.schema import TABLES

_CLOSED = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # or a query could name variables of this program
}
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
    with duckdb.connect(":memory:", config=_CLOSED) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        try:
            _check(connection.extract_statements(query))
            for name, table in load(_needed(query)).items():
                connection.register(name, table)
            return connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(str(error).splitlines()[0]) from error


def _check(statements: list[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements; need one select")
    if statements[0].type not in _READING:
        raise QueryError(f"a {statements[0].type.name} statement; need a select")


def _needed(query: str) -> list[str]:
    """The tables whose names are in the query, so all that it can mean; all of them without any."""
    return [name for name in TABLES if re.search(rf"\b{name}\b", query, re.IGNORECASE)] or [*TABLES]
