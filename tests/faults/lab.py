"""A toy study to disturb, what it should end as, and how far it is from that."""

import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.studies.conftest import HIDDEN, ROOT, TOY, run_study, study_command, wait_for
from tests.studies.forked import Forked
from tests.studies.toy import NORMS
from tracking import Store, open_store

ABLATION = "batchsize_ablation"
TEST = ["--concurrency", "1"]
"""Options of a study to strike once: 4 trials of two seconds, one after another, each evaluated
three times. Another worker of the tests has the other core.
"""
BENCHMARK = ["--classes", "2,3,5,6,8,9", "--epochs", "8"]
"""Of one to strike often: 24 trials of a second or two, two at once."""

STUDY = [*TEST]
"""Those that are used."""

_share_of_pauses = [0.1]


def use_benchmark_studies() -> None:
    """From now on the longer ones, with longer pauses before a strike."""
    STUDY[:] = BENCHMARK
    _share_of_pauses[0] = 1.0


def pause(moments: random.Random, seconds: float) -> float:
    """A random part of so many seconds, of a tenth of them in tests."""
    return moments.uniform(0, seconds * _share_of_pauses[0])


Driver = subprocess.Popen[str] | Forked

HANG_S = 600.0
"""A study that takes longer hangs; on a machine that is busy it takes minutes."""

KEYS = {
    "trials": ("study", "trial_id"),
    "dynamics": ("trial_id", "epoch"),
    "scores": ("trial_id", "epoch", "layer", "scorer"),
}


@dataclass
class Outcome:
    """What a fault did to studies that were then run to their end.

    Attributes:
        injections: how often it struck.
        lost: planned trials that have no rows in the end.
        doubled: rows that are there twice.
        different: rows with any bit unlike those of the undisturbed study, timing aside.
        seconds: from each injection to the next epoch that is recorded.
        longest_stop_s: from an injection to the end of the study's process, at most.
        notes: what was seen beside that, and how often.
    """

    injections: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    seconds: list[float] = field(default_factory=list)
    longest_stop_s: float = 0.0
    notes: Counter[str] = field(default_factory=Counter)

    def compare(self, store: Path, reference: Path) -> None:
        """Count what is wrong with a store, in its compacted files and in the trials' own.

        The reference may have trials that the store was never to have.
        """
        planned = set(open_store(store).members(ABLATION))
        assert len(planned) == planned_count()
        ours, theirs = views(store), views(reference, planned)
        lost, doubled, different = set(), 0, 0
        for view in ours:
            for name, key in KEYS.items():
                mine, right = keyed(ours[view][name], key), keyed(theirs[view][name], key)
                wanted = {row[key.index("trial_id")] for row in right}
                lost |= wanted - {row[key.index("trial_id")] for row in mine}
                doubled += sum(len(found) - 1 for found in mine.values())
                different += sum(
                    mine.get(row, [None])[0] != right.get(row, [None])[0]
                    for row in mine.keys() | right.keys()
                )
        self.lost += len(lost)
        self.doubled += doubled
        self.different += different

    def assert_nothing_lost(self, injections: int) -> None:
        assert self.injections >= injections, self
        assert (self.lost, self.doubled, self.different) == (0, 0, 0), self


def planned_count() -> int:
    """How many trials the study should have, by its options."""
    classes = STUDY[STUDY.index("--classes") + 1] if "--classes" in STUDY else "3"
    return len(classes.split(",")) * len(NORMS) * 2


def views(path: Path, only: set[str] | None = None) -> dict[str, dict[str, pa.Table]]:
    """The three tables as they lie in files, as they are answered, and out of the trials alone."""
    store: Store = open_store(path)
    found = {
        "files": {name: pq.read_table(path / "parquet" / f"{name}.parquet") for name in KEYS},
        "answers": {name: getattr(store, name)() for name in KEYS},
        "trials": store.snapshot(compacted=False).tables(KEYS),
    }
    if only is None:
        return found
    wanted = pa.array(sorted(only))
    return {
        view: {
            name: table.filter(pc.is_in(table["trial_id"], wanted))
            for name, table in tables.items()
        }
        for view, tables in found.items()
    }


def keyed(table: pa.Table, key: tuple[str, ...]) -> dict[tuple, list[str]]:
    """Rows in words, so that NaN equals NaN and every bit counts, by what must be unique."""
    found: dict[tuple, list[str]] = {}
    for row in table.to_pylist():
        shown = repr(sorted((name, row[name]) for name in row if name not in HIDDEN))
        found.setdefault(tuple(row[name] for name in key), []).append(shown)
    return found


def start(
    store: Path,
    *more: str,
    env: dict[str, str] | None = None,
    words: Path | None = None,
    forked: bool = True,
    toy: Sequence[str] = TOY,
    study: str = "STUDY",
) -> Driver:
    """The study, in a process of its own; its words go to files beside the store, or ``words``.

    Unless ``forked`` it is a Python of its own, which reads ``env`` as it starts.
    """
    words = words or store
    words.parent.mkdir(parents=True, exist_ok=True)
    out, err = words.with_suffix(".out"), words.with_suffix(".err")
    out.touch()
    err.touch()
    if forked:
        return Forked([*toy, *STUDY, "--store", str(store), *more], ROOT, out, err, env, study)
    with out.open("a") as said, err.open("a") as warned:
        return subprocess.Popen(
            study_command(store, *STUDY, *more, page="tests/studies/toy.py"),
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | (env or {}),
            stdout=said,
            stderr=warned,
            text=True,
        )


def finish(store: Path, outcome: Outcome, reference: Path, *more: str) -> None:
    """Run the same command to its end, and compare."""
    study = start(store, *more)
    assert study.wait(timeout=HANG_S) == 0, said_by(store)
    outcome.compare(store, reference)


def said_by(store: Path) -> str:
    return "".join(store.with_suffix(end).read_text()[-20_000:] for end in (".out", ".err"))


def undisturbed(folder: Path) -> Path:
    """The store that every disturbed one of the benchmark should equal."""
    store = folder / "undisturbed"
    done = run_study(store, *STUDY, page="tests/studies/toy.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return store


def newest(store: Path) -> int:
    """When an epoch was last recorded, in ns; 0 if none was."""
    return max((p.stat().st_mtime_ns for p in store.glob("trials/*/dynamics.parquet")), default=0)


def next_epoch(store: Path, study: Driver) -> None:
    """Wait for an epoch to be recorded, or for the study's end."""
    before = newest(store)
    wait_for(lambda: newest(store) > before or study.poll() is not None, "an epoch to be recorded")


def recorded_again(store: Path, since_ns: int, study: Driver) -> float:
    """Seconds from a moment to the next recorded epoch, or to the study's end."""
    wait_for(
        lambda: newest(store) > since_ns or study.poll() is not None, "an epoch to be recorded"
    )
    return (max(newest(store), since_ns) - since_ns) / 1e9 or (time.time_ns() - since_ns) / 1e9


def stores(folder: Path, wanted: Callable[[], object]) -> Iterator[Path]:
    """New stores, as long as more are wanted."""
    for number in itertools.count(1):
        if not wanted():
            return
        yield folder / f"store-{number}"


def disturbed(
    study: Driver,
    store: Path,
    outcome: Outcome,
    repeats: int,
    pause: Callable[[], float],
    strike: Callable[[], None],
    mend: Callable[[], None] = lambda: None,
) -> None:
    """Strike a study that lives on, after pauses of so many seconds, until it has ended well."""
    wait_for(lambda: (store / "writer.lock").exists(), "the store")
    while outcome.injections < repeats:
        time.sleep(pause())
        if study.poll() is not None:
            break
        at = time.time_ns()
        strike()
        outcome.injections += 1
        outcome.seconds.append(recorded_again(store, at, study))
        mend()
    assert study.wait(timeout=HANG_S) == 0, said_by(store)


def interrupted(
    begin: Callable[[], Driver],
    store: Path,
    outcome: Outcome,
    repeats: int,
    strike: Callable[[Driver], int],
) -> None:
    """Begin a study again each time that a strike has ended it, until it has ended well.

    ``strike`` waits for its moment and gives it in ns, or 0 if the study had ended before.
    """
    struck = 0
    while True:
        study = begin()
        if struck:
            outcome.seconds.append(recorded_again(store, struck, study))
        struck = strike(study) if outcome.injections < repeats else 0
        if not struck:
            assert study.wait(timeout=HANG_S) == 0, study.args
            return
        outcome.injections += 1


def seeded(seed: int | None = None) -> random.Random:
    """Its seed is printed, so that a moment that does harm can be tried again."""
    seed = time.time_ns() if seed is None else seed
    print(f"seed {seed}", file=sys.stderr)
    return random.Random(seed)
