"""Errors of a store."""

from typing import Any


class StoreError(RuntimeError):
    """A store cannot be used; the message says why and what would help."""


class DamagedFileError(StoreError):
    """A file of a store, ``path``, cannot be read as what it should be, and the ``reason``."""

    def __init__(self, path: Any, reason: object) -> None:
        self.path, self.reason = path, str(reason).strip().partition("\n")[0]
        super().__init__(f"{path} cannot be read ({self.reason}); move it away to go on")


class QueryError(StoreError):
    """A query cannot be answered; the message is DuckDB's, in one line."""
