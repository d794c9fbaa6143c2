"""What a pytest worker gets to do, and who waits for whom (pytest-xdist)."""

import fcntl
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling


class ByFile(LoadScopeScheduling):
    """A worker takes a file of tests as a whole, so its fixtures are made once, or a group.

    A group is an ``xdist_group``, of several files or of a part of one; xdist 3.8 cannot read them
    from pytest 9.2. Also, it would give the test at which a worker has died to the next worker,
    and the next, without end, and let a worker wait that has one test left. Here such a test is
    reported once.
    """

    def __init__(self, config: pytest.Config, log, folder: Path) -> None:
        super().__init__(config, log)
        self._folder = folder
        self._groups: dict[str, str] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._groups is None:
            self._groups = json.loads((self._folder / "groups.json").read_text())
        return self._groups.get(nodeid, nodeid.partition("::")[0])

    def remove_node(self, node):
        units = self.assigned_work[node]
        left = [(unit, test) for unit in units.values() for test, done in unit.items() if not done]
        if not left:
            return super().remove_node(node)
        unit, died_at = left[0]
        unit[died_at] = True
        for scope in [scope for scope, unit in units.items() if all(unit.values())]:
            del units[scope]
        super().remove_node(node)  # the others get the rest
        return died_at

    def _reschedule(self, node):
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


def common_folder(main_process: int) -> Path:
    """Of all workers of one pytest."""
    folder = Path(tempfile.gettempdir()) / f"nsa-tests-{main_process}"
    folder.mkdir(exist_ok=True)
    return folder


def note_groups(items: Iterable[pytest.Item], folder: Path) -> None:
    """For ``ByFile``, which sees nothing but names; every worker notes the same."""
    found = {}
    for item in items:
        if group := item.get_closest_marker("xdist_group"):
            (found[item.nodeid],) = group.args
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        json.dump(found, file)
    Path(file.name).replace(folder / "groups.json")


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """With the other workers, or alone. Who waits to be alone lets nobody pass."""
    with (folder / "door").open("w") as door, (folder / "machine").open("w") as machine:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
