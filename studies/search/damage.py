"""A damaged journal of Optuna's: cut after its last whole entry, and kept as it was beside it.

A disk that was full leaves half a line, one that failed leaves NULs or worse. What is cut off is in
the store too, see ``studies.search.suggestions``.
"""

import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from tracking.files.place import StorePath, set_aside
from tracking.files.read import read_bytes
from tracking.files.write import write_bytes

_LOG = logging.getLogger(__name__)


def mend(parts: Sequence[StorePath]) -> None:
    """Cut a journal after the last line up to which Optuna can replay it.

    Args:
        parts: its files, in order; there may be none.
    """
    contents = [read_bytes(part) for part in parts]
    left = whole = _whole_bytes(b"".join(contents))
    asides = []
    for part, content in zip(parts, contents, strict=True):
        kept = content[:left]
        left -= len(kept)
        if len(kept) < len(content):
            asides.append(set_aside(part).name)
            if kept:
                write_bytes(part, kept)
    if asides:
        _LOG.warning(
            "%s is damaged after %d of %d bytes; the search goes on from there and from the store "
            "(as it was, it is now %s)",
            parts[0], whole, sum(map(len, contents)), ", ".join(asides),
        )  # fmt: skip


def _whole_bytes(journal: bytes) -> int:
    """How many bytes at the beginning are lines that Optuna can replay."""
    replay = _Replay(journal)
    with suppress(Exception):  # whatever it is that Optuna stumbles over
        JournalStorage(replay)
    return replay.replayed


class _Replay(BaseJournalBackend):
    """A journal that counts its bytes as they are replayed, and ends before half a line."""

    def __init__(self, journal: bytes) -> None:
        self._journal, self.replayed = journal, 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        for line in io.BytesIO(self._journal):
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)
            self.replayed += len(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError
