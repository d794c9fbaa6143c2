"""Time and memory of the report of a 640-trial store, beside reading that store alone.

python benchmarks/report.py
python benchmarks/report.py --store STORE      # one that generated_store.py made before
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from generated_store import generate
from hardware import Spread, describe, markdown_table, number_with_range

ROOT = Path(__file__).parents[1]
OUTPUT = Path(__file__).parent / "results" / "report.md"
TARGET_S, TARGET_MB = 30, 1000
READ = (
    "import sys; from tracking import open_store; store = open_store(sys.argv[1]); "
    "print(store.trials().num_rows, store.dynamics().num_rows, store.scores().num_rows)"
)

# A small process in between: Linux counts the memory of whoever starts a process as its peak too.
LAUNCH = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Wall-clock seconds and peak resident MB of a process, start of Python included."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, *command], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
    seconds, kilobytes = done.stdout.split()
    return float(seconds), float(kilobytes) / 1024


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--store", help="default: generate one in a temporary folder")
    parser.add_argument("--trials", type=int, default=640, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    machine = describe(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or str(generate(f"{folder}/store", options.trials).root)
        tasks = {
            "read all three tables": [sys.executable, "-c", READ, store],
            "python -m tracking.report": [
                sys.executable, "-m", "tracking.report", store, "--out", f"{folder}/report",
            ],
        }  # fmt: skip
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
        for index in range(options.rounds + 1):  # the first round warms the file cache
            print(f"round {index} of {options.rounds}", flush=True)
            for name, command in tasks.items():
                value = measured(command)
                if index:
                    found[name].append(value)
        page = max(path.stat().st_size for path in Path(folder, "report").glob("*.html"))
        trials = len(list(Path(store, "trials").iterdir()))
    text = "\n\n".join(
        [
            "# The report of a large study",
            f"Made by `python benchmarks/report.py`, on {trials} trials x 30 epochs x 5 layers x "
            "8 scores, each task a process of its own, in turn.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            table(found),
            f"The page is {page / 1e6:.2f} MB. Target for the report: under {TARGET_S} s and "
            f"{TARGET_MB:,} MB.",
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    """Seconds and peak memory a task."""
    body = []
    for name, values in found.items():
        seconds, memory = (Spread.of(column) for column in zip(*values, strict=True))
        body.append([name, number_with_range(seconds), number_with_range(memory), str(seconds.n)])
    return markdown_table(["task", "s, median (range)", "peak MB, median (range)", "n"], body)


if __name__ == "__main__":
    sys.exit(main())
