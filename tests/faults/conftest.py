"""Studies that several faults share: one that nothing disturbs, one that is ended by many."""

import os
import shutil
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.faults.lab import HANG_S, Outcome, said_by, seeded, start, stores
from tests.studies.conftest import undisturbed  # noqa: F401  # a fixture


@pytest.fixture(scope="session")
def reference(undisturbed):  # noqa: F811
    return undisturbed[0]


@dataclass
class Interrupted:
    """What became of a study that was ended by one fault after another, and run to its end.

    Attributes:
        total: rows lost, doubled or different in the end.
        by_fault: what was seen of each.
        said: to stderr, by the start that it ended.
        left_behind: in the folder for temporary files.
    """

    total: Outcome = field(default_factory=Outcome)
    by_fault: dict[str, Outcome] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    left_behind: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="session")
def interrupted_study(reference, tmp_path_factory):
    """One store, on a disk of its own; a second one only where a study ends before its strike."""
    from tests.faults.test_disk import fill, small_disk
    from tests.faults.test_driver import strike
    from tests.faults.test_signals import (
        TO_ALL,
        told_to_stop,
        told_to_stop_at_once,
        told_to_stop_while_ray_starts,
    )
    from tests.faults.test_store_lost import WAYS, lose

    moments, found = seeded(), Interrupted()
    faults = {
        "told to stop at its start": lambda study, store, words, seen: told_to_stop_at_once(
            study, store, words, seen, "SIGINT"
        ),
        "told to stop while Ray starts": (
            lambda study, store, words, seen: told_to_stop_while_ray_starts(
                study, words, 0, moments, seen, "SIGTERM"
            )
        ),
        "told to stop while it trains": lambda study, store, words, seen: told_to_stop(
            study, store, words, moments, seen, TO_ALL
        ),
        "driver killed": lambda study, store, words, seen: strike(
            study, store, moments, "driver", seen
        ),
        "raylet killed": lambda study, store, words, seen: strike(
            study, store, moments, "raylet", seen
        ),
        "gcs_server killed": lambda study, store, words, seen: strike(
            study, store, moments, "gcs_server", seen
        ),
        "disk full": lambda study, store, words, seen: fill(
            study, store, words.with_suffix(".err"), moments
        ),
        **{
            f"store {how}": lambda study, store, words, seen, how=how: lose(
                study, store, words.with_suffix(".err"), moments, how
            )
            for how in WAYS
        },
    }
    root = os.geteuid() == 0
    left = [name for name in faults if root or name not in ("disk full", "store read-only")]
    folder = tmp_path_factory.mktemp("interrupted")
    short = Path(tempfile.mkdtemp(prefix="nsa-"))  # for Ray's sockets
    for place in stores(folder, lambda: left):
        with small_disk(place, 64) if root else nullcontext(place) as disk:
            store = disk / "store"
            while True:
                for end in (".out", ".err"):
                    place.with_suffix(end).unlink(missing_ok=True)
                # signals meet a Python that starts as a user's does
                study = start(
                    store,
                    words=place,
                    forked=not left or "at its start" not in left[0],
                    env={"RAY_TMPDIR": str(short)},
                )
                seen = Outcome()
                if not left or not faults[left[0]](study, store, place, seen):
                    assert study.wait(timeout=HANG_S) == 0, said_by(place)
                    break
                found.total.injections += 1
                name = left.pop(0)
                found.by_fault[name] = seen
                found.said[name] = place.with_suffix(".err").read_text()
                known = {each for names in found.left_behind.values() for each in names}
                found.left_behind[name] = sorted({each.name for each in short.iterdir()} - known)
            found.total.compare(store, reference)
    end_users(short)  # a killed driver's Ray writes for a minute yet
    shutil.rmtree(short)
    return found


def end_users(folder: Path) -> None:
    """Kill the processes whose command names a folder, and wait until they are gone."""
    users = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                process.kill()
                users.append(process)
    psutil.wait_procs(users, timeout=HANG_S)
