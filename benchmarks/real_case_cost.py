"""What a detector costs: fit 1,000 images of 96x96, score 500; from scratch and pre-trained.

    python benchmarks/real_case_cost.py --data ../shared/data

Magnetic tiles, the estimator as it comes, each kind in a process of its own, so that its peak of
memory is its own; from the import of the library on.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

OUTPUT = Path(__file__).parent / "results" / "real_case_cost.md"
FIT, SCORED = 1000, 500
TOY, TOY_EPOCHS = 20, 1  # images, and epochs from scratch
KINDS = {"from scratch": "", "pre-trained": "efficientnet_lite0"}


def measured(
    backbone: str, data: Path, fit: int, scored: int, epochs: int | None
) -> dict[str, float]:
    """Wall-clock and CPU seconds, and the peak of resident memory in MiB, of this process."""
    from nsa_core import load_images
    from nsa_core.detector import AnomalyDetector

    tiles = load_images(str(data / "magnetic-tile96-all.parquet"), "all").images[:, 0]
    started, cpu = time.perf_counter(), time.process_time()
    detector = AnomalyDetector(backbone=backbone, epochs=None if backbone else epochs).fit(
        tiles[:fit]
    )
    fitted = time.perf_counter()
    detector.anomaly_scores(tiles[-scored:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "fit": fitted - started,
        "score": time.perf_counter() - fitted,
        "CPU": time.process_time() - cpu,
        "peak": peak,
    }


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="toy size, for CI")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)  # of the processes
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    fit, scored, epochs = (TOY, TOY, TOY_EPOCHS) if options.quick else (FIT, SCORED, None)
    if options.kind:
        print(json.dumps(measured(KINDS[options.kind], options.data, fit, scored, epochs)))
        return 0

    import torch
    from hardware import describe, markdown_table, number

    machine, rows = describe(torch.device("cpu")), []
    for kind in KINDS:
        load = os.getloadavg()[0]
        command = [sys.executable, __file__, *sys.argv[1:], "--kind", kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append([kind, *(number(found[each]) for each in found), f"{load:.1f}"])
        print(*rows[-1], flush=True)
    text = "\n\n".join(
        [
            "# What a detector costs",
            f"Made by `python benchmarks/real_case_cost.py {' '.join(sys.argv[1:])}`: magnetic "
            f"tiles of 96x96, {fit:,} to fit and {scored:,} to score, `AnomalyDetector` as it "
            "comes. n = 1 each; the load is the 1-minute average of runnable processes before it, "
            "and on a machine that others use wall-clock time is more than it need be.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            markdown_table(
                ["", "fit, s", "score, s", "CPU of both, s", "peak memory, MiB", "load before"],
                rows,
            ),
        ]
    )
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
