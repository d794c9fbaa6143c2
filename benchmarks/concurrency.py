"""Do two trials of one core side by side do twice the work of one?

    python benchmarks/concurrency.py > benchmarks/results/concurrency.md

The same eight trials of the digits study through the whole runner, one at a time and two at a time,
in turn. Compared are the spans from the first trial's begin to the last one's end, as the ledger
has them. Peer: the same number of training processes without Ray, ledger and MLflow.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from hardware import describe

from nsa_core import TrialConfig
from studies.batchsize_ablation import STUDY
from studies.plan.grid import build_grid
from studies.plan.measure import measure
from tracking import open_store
from tracking.text import markdown_table

ROOT = Path(__file__).parents[1]
EPOCHS = 10


def main() -> None:
    """Run both in turn, a few times, and print spans and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    spans: dict[int, list[float]] = {1: [], 2: []}
    bare: list[float] = []
    config = build_grid(STUDY, "quick", classes=["0"]).configs[0]
    for _ in range(options.rounds):
        for at_once, seen in spans.items():
            seen.append(_span(at_once))
        bare.append(_bare(config))
    ratios = [one / two for one, two in zip(spans[1], spans[2], strict=True)]
    rows = [
        ["one at a time, s", *_row(spans[1])],
        ["two at a time, s", *_row(spans[2])],
        ["throughput of two against one", *_row(ratios)],
        ["the same, bare steps in processes of their own", *_row(bare)],
    ]
    print("# Two trials side by side\n")
    print(
        f"Command: `python benchmarks/concurrency.py --rounds {options.rounds}`. Eight trials of "
    )
    print(f"`batchsize_ablation` on digits, class 0, {EPOCHS} epochs, one core each.\n")
    print(markdown_table(["quantity", "median", "range", "n"], rows))
    print()
    facts = describe(torch.device("cpu")).items()
    print(markdown_table(["hardware", ""], [[*pair] for pair in facts]))


def _span(at_once: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "studies" / "batchsize_ablation.py"),
            "--classes",
            "0",
        ]
        command += ["--epochs", str(EPOCHS), "--concurrency", str(at_once), "--store", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        trials = open_store(folder).trials()
    begun, ended = (trials[name].to_pylist() for name in ("started_at", "ended_at"))
    assert trials["status"].to_pylist() == ["finished"] * 8
    return float((max(ended) - min(begun)).total_seconds())


def _bare(config: TrialConfig) -> float:
    one, two = (measure(config, None, "cpu", 1, copies).step_s for copies in (1, 2))
    return 2 * one / two


def _row(values: list[float]) -> list[str]:
    spread = f"{min(values):.2f} to {max(values):.2f}"
    return [f"{statistics.median(values):.2f}", spread, str(len(values))]


if __name__ == "__main__":
    main()
