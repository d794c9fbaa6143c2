"""Optuna's journal in object storage, where no file can be appended to."""

import json
from collections.abc import Sequence
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from tracking.files.objects import ObjectPath
from tracking.files.place import set_aside

_PART_BYTES = 50_000


class ObjectJournal(BaseJournalBackend):
    """Its entries as lines of numbered objects; the last one is replaced until it is full.

    One process writes it: the driver that holds the store.

    Args:
        place: below which its objects are.
    """

    def __init__(self, place: ObjectPath) -> None:
        self._place = place
        self._entries: list[dict[str, Any]] = []
        self._last: list[str] = []
        self._part = 0
        for self._part, path in enumerate(parts_of(place)):
            self._last = path.read_bytes().decode().splitlines()
            self._entries += map(json.loads, self._last)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from this number on."""
        return self._entries[log_number_from:]

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Add entries; they are durable when this returns."""
        lines = [json.dumps(entry) for entry in logs]
        if sum(map(len, self._last)) > _PART_BYTES:
            self._part, self._last = self._part + 1, []
        last = [*self._last, *lines]
        path = self._place / _name(self._part)
        path.write_bytes("".join(f"{line}\n" for line in last).encode())
        self._last = last
        self._entries += map(json.loads, lines)


def parts_of(place: ObjectPath) -> list[ObjectPath]:
    """The objects of a journal, in order. Those after a missing one are set aside: what they say
    depends on what is missing.
    """
    found = sorted(place.glob("*.jsonl"), key=lambda path: path.name)
    whole = sum(path.name == _name(number) for number, path in enumerate(found))
    for path in found[whole:]:
        set_aside(path)
    return found[:whole]


def _name(part: int) -> str:
    return f"{part:06}.jsonl"
