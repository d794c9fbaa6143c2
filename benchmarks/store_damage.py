"""Random damage to the files of a store: what does every reader and writer make of it?

    python -m benchmarks.store_damage --cases 2000

A case is one damage to one file or folder of a small store. Right are the rows that were written,
fewer of them where a trial then counts as not finished, or one error that names a file of the
store. Wrong are other rows, any other error, over 5 s, or a touch of anything outside the store.
"""

import argparse
import hashlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.generated_store import generate
from benchmarks.hardware import describe, markdown_table
from benchmarks.store_damages import DAMAGES, files
from benchmarks.store_uses import USES, Rows, rows_of
from tracking import Store, StoreError, open_store
from tracking.report.document import write_report

OUTPUT = Path(__file__).parent / "results" / "store_damage.md"
LIMIT_S = 5
ENDINGS = ("right", "an error", "wrong")
STUDY = "generated"


@dataclass
class Outcome:
    """What came of the cases: counts by damage and ending, and every wrong one in words."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def strike(
    cases: int,
    base: Path,
    seed: int = 0,
    uses: Sequence[str] = tuple(USES),
    watch: Callable[[int], object] = lambda case: None,
) -> Outcome:
    """Damage copies of a store, and use each in these ways; ``base`` is an empty folder."""
    original = generate(base / "original", trials=10, epochs=2, layers=2, scorers=2)
    original.compact()
    if "report" in uses:
        write_report(original, STUDY)
    right = rows_of(original)
    outcome = Outcome()
    for case in range(cases):
        stream = random.Random(f"{seed} {case}")
        watch(case)
        damage = DAMAGES[case % len(DAMAGES)]
        work_at = base / "case"
        shutil.copytree(original.root, work_at / "store", symlinks=True)
        (work_at / "outside").mkdir()
        (work_at / "outside" / "mine").write_text("years of work")
        if stream.random() < 0.5:  # a copy's files are others than those of its generation
            open_store(work_at / "store").compact()
        path = stream.choice(files(work_at / "store"))
        damage(path, work_at / "outside", stream)
        before = _digest(work_at / "outside")
        for name in stream.sample(uses, len(uses)):
            ending = _ending(work_at / "store", USES[name], right)
            if _digest(work_at / "outside") != before:
                ending = "touched what is outside"
            kind = ending if ending in ("right", "an error") else "wrong"
            outcome.counts[damage.__name__, kind] += 1
            if kind == "wrong":
                where = path.relative_to(work_at / "store")
                outcome.wrong.append(f"case {case}: {damage.__name__} {where}, {name}: {ending}")
        shutil.rmtree(work_at)
    return outcome


def _ending(root: Path, use: Callable[[Store, Rows], None], right: Rows) -> str:
    try:
        with _limited():
            use(open_store(root), right)
        return "right"
    except StoreError as error:
        text = str(error)
        return "an error" if str(root) in text and "\n" not in text else f"unnamed: {text!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@contextmanager
def _limited() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError(f"over {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _digest(folder: Path) -> str:
    """Of all names and contents below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path).encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


def main() -> int:
    """Strike, print and write the table; 1 if a case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    started = time.monotonic()

    def watch(case: int) -> None:
        if case and case % 100 == 0:
            left = (time.monotonic() - started) * (options.cases - case) / case
            print(f"{case} of {options.cases} cases, about {left:.0f} s left", flush=True)

    with tempfile.TemporaryDirectory() as base:
        outcome = strike(options.cases, Path(base), options.seed, watch=watch)
    body = [
        [
            each.__name__.replace("_", " "),
            *(str(outcome.counts[each.__name__, kind]) for kind in ("right", "an error", "wrong")),
        ]
        for each in DAMAGES
    ]
    machine = describe(torch.device("cpu"))
    text = "\n\n".join(
        [
            "# Damage to a store",
            f"Made by `python -m benchmarks.store_damage --cases {options.cases}`: each case one "
            f"damage, then {len(USES)} uses of the store ({', '.join(USES)}), counted one by one. "
            "Right: the rows that were written, or fewer where a trial then counts as not "
            "finished. An error: one line that names a file of the store. Wrong: anything else, "
            f"over {LIMIT_S} s, or a touch outside the store.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            markdown_table(["damage", *ENDINGS], body),
            *outcome.wrong,
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
