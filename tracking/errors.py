"""What the ledger refuses, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracking.storage import StorePath  # which raises these


class StoreError(RuntimeError):
    """A store cannot be used; the message names it and says what would help."""


class DamagedFileError(StoreError):
    """A file of a store cannot be read as what it should be; ``path`` is the file."""

    def __init__(self, path: "StorePath", reason: object) -> None:
        super().__init__(f"{path} cannot be read ({reason}); move it away to go on")
        self.path = path


class QueryError(StoreError):
    """A query cannot be answered; the message is DuckDB's, in one line."""
