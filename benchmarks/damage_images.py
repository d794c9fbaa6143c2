"""Random damage to images, through every door that opens one: what comes of it?

    python -m benchmarks.damage_images --cases 2000

Images of every format in every mode that Pillow writes (``tests/security/damaged_images.py``), cut,
overwritten, swapped or replaced, go through the decoder, a data set, and a trial's worst mistakes
on their way to the report and to MLflow. Each is read, or refused in one line that names the file;
any other end is counted and shown.
"""

import argparse
import collections
import os
import resource
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.hardware import describe, markdown_table
from nsa_core.data.decode import FORMATS
from tests.security.damaged_images import DAMAGES, DOORS, cases, originals

OUTPUT = Path(__file__).parent / "results" / "damage_images.md"
_HEADER = ["", "cases", "read", "refused", "other ends", "slowest, ms"]


def main() -> None:
    """Damage, count, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, metavar="N", help="at each door")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    machine = describe(torch.device("cpu"))
    before = _memory()
    rows, others = [], []
    for door in DOORS:
        found, seen = through(door, options.cases)
        rows += found
        others += seen
    text = "\n\n".join(
        [
            "# Damaged images",
            f"Made by `python -m benchmarks.damage_images --cases {options.cases}`: "
            f"{len(originals())} images, each damaged in {len(DAMAGES)} ways "
            f"({', '.join(DAMAGES)}), {options.cases:,} at each door.",
            markdown_table(_HEADER, rows),
            f"Memory grew by {_memory() - before:.0f} MB at most over all of them.",
            *(f"Other end: {each}" for each in others),
            markdown_table(["", "this machine"], [[*each] for each in machine.items()]),
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    raise SystemExit(bool(others))


def through(door: str, count: int) -> tuple[list[list[str]], list[str]]:
    """A row a format, one for all, and every end that should not be."""
    ends: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    slowest: dict[str, float] = collections.defaultdict(float)
    others = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NSA_CACHE"] = f"{folder}/cache"
        for name, damage, data in cases(count):
            started = time.perf_counter()
            try:
                end = "read" if DOORS[door](data, Path(folder)) else "refused"
            except Exception as error:  # the very thing that is looked for
                end = "other"
                others.append(f"{door}, {name}, {damage}: {type(error).__name__}: {error}")
            for group in ("all", name.split()[0]):
                ends[group][end] += 1
                slowest[group] = max(slowest[group], time.perf_counter() - started)
    rows = []
    for group in ("all", *FORMATS):
        counts = (ends[group].total(), *(ends[group][end] for end in ("read", "refused", "other")))
        row = [f"{door}: {group}", *(f"{each:,}" for each in counts)]
        rows.append([*row, f"{1000 * slowest[group]:.0f}"])
    return rows, others


def _memory() -> float:
    """The most that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
