"""The fault matrix: does a study end the same, whatever befalls it at whatever moment?

    python -m benchmarks.faults --repeats 20

Runs every fault of ``tests/faults`` so many times, at random moments of real studies on digits. In
the end each study is compared with one that nothing befell: its compacted files, its tables, and
its trials' own files, bit for bit, times aside. The table is written after every fault, so a run
that is cut off keeps what it has; ``--only`` adds to it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.hardware import describe
from tests.faults import lab
from tests.faults.lab import Outcome
from tests.faults.searches import strike_searches
from tests.faults.stops import stop_and_continue
from tests.faults.test_checkpoints import SPOILERS, spoil_checkpoints
from tests.faults.test_clock import set_clock_back
from tests.faults.test_disk import fill_disk
from tests.faults.test_driver import interrupt_driver
from tests.faults.test_memory import kill_for_memory, refuse_memory
from tests.faults.test_mlflow import kill_mlflow
from tests.faults.test_nodes import kill_nodes
from tests.faults.test_signals import stop_starts, stop_studies
from tests.faults.test_store_lost import WAYS, lose_store
from tests.faults.test_two_drivers import two_drivers
from tests.faults.test_workers import kill_workers
from tracking.text import markdown_table

ROOT = Path(__file__).parents[1]

FAULTS: dict[str, Callable[..., Outcome | dict[str, Outcome]]] = {
    "worker killed": kill_workers,  # in several phases, an outcome each
    "driver killed": partial(interrupt_driver, how="driver"),
    "raylet killed": partial(interrupt_driver, how="raylet"),
    "gcs_server killed": partial(interrupt_driver, how="gcs_server"),
    "raylet of another host killed": partial(kill_nodes, kinds=("raylet",)),
    "another host killed": partial(kill_nodes, kinds=("host",)),
    "MLflow server killed": kill_mlflow,
    "disk full": fill_disk,
    **{f"store {how}": partial(lose_store, how=how) for how in WAYS},
    "search killed, journal damaged": strike_searches,
    "stopped and continued": stop_and_continue,
    **{f"checkpoint {how}": partial(spoil_checkpoints, how=how) for how in SPOILERS},
    "clock set back": set_clock_back,
    "two drivers on one store": two_drivers,
    "Ctrl-C or SIGTERM": stop_studies,
    "Ctrl-C or SIGTERM while Ray starts": stop_starts,
    "memory refused": refuse_memory,
    "killed by the kernel for its memory": kill_for_memory,
}
_HEADER = ["fault", "injections", "lost", "doubled", "different", "seconds, median [range]", "seen"]


def main() -> None:
    """Run the matrix and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=20, help="injections of each fault, at least"
    )
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "faults.md")
    options = parser.parse_args()
    lab.use_benchmark_studies()
    known = options.out.with_suffix(".json")  # what --only adds to
    rows = json.loads(known.read_text()) if options.only and known.exists() else {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        reference = lab.undisturbed(Path(folder))
        for name, fault in FAULTS.items():
            if options.only in name:
                place = Path(folder) / name.replace(" ", "-").replace(",", "")
                place.mkdir()
                rows |= struck(name, fault, place, reference, options.repeats)
                known.write_text(json.dumps(rows, indent=1))
                options.out.write_text("\n".join(page(rows, options.repeats)))


def struck(
    name: str,
    fault: Callable[..., Outcome | dict[str, Outcome]],
    place: Path,
    reference: Path,
    repeats: int,
) -> dict[str, list[str]]:
    """What a fault did, in words; one that a study did not survive is named as such."""
    started = time.monotonic()
    try:
        found = fault(place, reference, lab.seeded(), repeats)
    except Exception:
        said = traceback.format_exc().strip().splitlines()[-1]
        for folder in (place.parent, sys.executable, ROOT):  # of this machine alone
            said = said.replace(str(folder), Path(folder).name)
        print(traceback.format_exc(), file=sys.stderr)
        return {name: ["?", "?", "?", "?", "", f"NOT SURVIVED or not run: {said[:200]}"]}
    took = f"{time.monotonic() - started:.0f} s in all"
    if isinstance(found, Outcome):
        return {name: row(found, took)}
    return {f"{name}, phase {phase}": row(each, took) for phase, each in found.items()}


def row(outcome: Outcome, took: str) -> list[str]:
    """Cells of the table."""
    seen = [f"{count} x {what}" for what, count in outcome.notes.items() if count]
    if outcome.longest_stop_s:
        seen.append(f"ended within {outcome.longest_stop_s:.1f} s")
    low, high = min(outcome.seconds), max(outcome.seconds)
    return [
        *map(str, (outcome.injections, outcome.lost, outcome.doubled, outcome.different)),
        f"{statistics.median(outcome.seconds):.1f} [{low:.1f}, {high:.1f}]",
        "; ".join([*seen, took]),
    ]


def page(rows: dict[str, list[str]], repeats: int) -> Iterator[str]:
    """The table, and what it means."""
    yield "# What faults cost\n"
    yield f"Command: `python -m benchmarks.faults --repeats {repeats}`\n"
    yield (
        "Studies of 24 trials on digits, struck at random moments. Lost: planned trials without "
        "rows in the end; doubled: rows that are there twice; different: rows that differ in any "
        "bit from the undisturbed study, times aside. Seconds: from a fault to the next recorded "
        "epoch; for a second driver, and for a signal while Ray starts, to the end of the "
        "process. Rows may be of several runs (`--only`), some on a machine that was busy with "
        "others; the hardware is that of the last.\n"
    )
    yield markdown_table(_HEADER, [[name, *cells] for name, cells in rows.items()])
    yield ""
    yield markdown_table(
        ["hardware", ""], [[*pair] for pair in describe(torch.device("cpu")).items()]
    )
    yield ""


if __name__ == "__main__":
    main()
