"""Three real inspections, clean and polluted: our detectors, and what a person would take instead.

    pip install --target DIR --no-deps pyod numba llvmlite anomalib ...   # the peers, if wanted
    PYTHONPATH=DIR python benchmarks/real_case.py --data ../shared/data

Peers that are not installed are named and left out. ``docs/real_case.md`` reads the results.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import real_case_ours as ours
import real_case_peers as peers
import torch
from hardware import describe
from real_case_data import CASES, DEFECT, Case
from real_case_measures import resamples
from real_case_tables import Column, Run, report

OUTPUT = Path(__file__).parent / "results" / "real_case.md"
RATE = 0.05
TOY_IMAGES = 18  # of each part


@dataclass(frozen=True)
class Sizes:
    """Passes of an image from scratch, bootstrap samples, and folds that find suspects."""

    passes: int
    draws: int
    folds: int


FULL, TOY = Sizes(24_000, 1000, 5), Sizes(50, 20, 2)


class Progress:
    """Says what is done, and when all will be, by the images that go through a network."""

    def __init__(self, total: float) -> None:
        self._total, self._done, self._started = total, 0.0, time.perf_counter()

    def __call__(self, what: str, work: float) -> None:
        """That much more is done."""
        self._done += work
        gone = time.perf_counter() - self._started
        left = gone * (self._total - self._done) / self._done
        print(f"{what}: {gone:,.0f} s so far, about {max(0, left):,.0f} s left", flush=True)


def work_of(case: Case, sizes: Sizes) -> dict[str, float]:
    """Of each step on both training sets, in images through the frozen network, as measured."""
    count = len(case.clean) + len(case.polluted)
    return {
        "from scratch": 0.2 * 2 * sizes.passes,
        "frozen": 3 * count,
        "maps": len(case.polluted) + len(case.test),
        "patches": 2 * (count + 2 * len(case.test)),
    }


def columns(case: Case, sizes: Sizes, progress: Progress) -> Iterator[Column]:
    """Every detector on the polluted and on the clean training set of a case."""
    work, test = work_of(case, sizes), ours.grey(case.test)
    samples = resamples(case.test.group, case.test.kind == DEFECT, sizes.draws)
    maps = test_maps = features = None
    for state, train in (("polluted", case.polluted), ("clean", case.clean)):
        own = ours.from_scratch(train, RATE, sizes.passes)
        verdicts = [ours.judged(ours.SCRATCH, own, train, own.features(test)["embedding"])]
        progress(f"{case.name}, {state}: from scratch", work["from scratch"] / 2)
        frozen = ours.frozen(train, RATE)
        features = frozen.features(test)["embedding"] if features is None else features
        known = ours.frozen_features(frozen, train)
        verdicts.append(ours.judged(ours.FROZEN, frozen, train, features))
        verdicts += peers.of_features(known, features, RATE)
        progress(f"{case.name}, {state}: frozen features", work["frozen"] / 2)
        if maps is None:
            prepared = frozen.method_.encoder.prepared
            maps, test_maps = (peers.maps_of(p.images, prepared) for p in (train, case.test))
            progress(f"{case.name}: maps", work["maps"])
        rows = torch.from_numpy(np.isin(case.polluted.path, train.path))
        verdicts += peers.of_patches({layer: maps[layer][rows] for layer in maps}, test_maps)
        progress(f"{case.name}, {state}: patches", work["patches"] / 2)
        folds = None
        if state == "polluted":
            folds = ours.frozen_folds(known, train.group, sizes.folds)
        yield Column(case, state, train, tuple(verdicts), folds, samples)


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="toy sizes, for CI")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data} is no folder; need the one with the Parquet files")
    os.environ.setdefault("TQDM_DISABLE", "1")
    machine = describe(torch.device("cpu")) | peers.versions()
    started, cpu = time.perf_counter(), time.process_time()
    cases = [read(options.data) for read in CASES]
    sizes = FULL
    if options.quick:
        cases, sizes = [case.at_most(TOY_IMAGES) for case in cases], TOY
    progress = Progress(sum(sum(work_of(case, sizes).values()) for case in cases))
    found = [column for case in cases for column in columns(case, sizes, progress)]
    gone, used = time.perf_counter() - started, time.process_time() - cpu
    took = f"{gone:,.0f} s, {used:,.0f} s of them on the CPU"
    text = report(found, machine, Run(took, sizes.passes, RATE))
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
