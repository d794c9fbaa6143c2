"""What 30 evaluations cost beside a training as long as the paper's.

    python benchmarks/evaluation_cost.py [--device cuda] [--rounds 3]

The paper's network and sizes: ResNet-18, 5,000 training and 10,000 test images of 32x32, batch 512,
4,000 epochs of SimSiam and 500 of SimCLR. Steps and the parts of one evaluation are timed; the
whole is multiplied out.
"""

import argparse
import sys
from pathlib import Path

import torch
from evaluation_parts import evaluation_parts
from hardware import (
    Spread,
    describe,
    markdown_table,
    number,
    number_with_range,
    seconds_for,
    training_step,
)

from nsa_core import TrialConfig
from nsa_core.scorers import SLOW
from nsa_core.training import best_precision

OUTPUT = Path(__file__).parent / "results" / "evaluation_cost.md"
EVALUATIONS, STEPS_PER_EPOCH = 30, 9
RUNS = (("simsiam", "both", 4000), ("simclr", "f", 500))  # method, norm, epochs
SIZE = 32


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--train", type=int, default=5_000, metavar="N", help="training images")
    parser.add_argument("--test", type=int, default=10_000, metavar="N", help="test images")
    parser.add_argument("--labelled", type=int, default=5_000, metavar="N", help="for probes")
    parser.add_argument("--width", type=int, default=64, metavar="N")
    parser.add_argument("--batch", type=int, default=512, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    device = torch.device(options.device)
    machine = describe(device)
    parts, rows = [], []
    for method, norm, epochs in RUNS:
        config = TrialConfig(
            method=method,
            norm=norm,
            width=options.width,
            batch_size=options.batch,
            precision=best_precision(device),
        )
        step = training_step(config, SIZE, device)
        seconds_for(step, device)  # warms up
        steps = Spread.of([seconds_for(step, device) for _ in range(options.rounds)])
        found = timed_parts(config, options, device)
        parts += [[method, name, number_with_range(each), str(each.n)] for name, each in found]
        once = sum(each.median for name, each in found if name not in SLOW)
        slow = sum(each.median for name, each in found if name in SLOW)  # at the last one alone
        training = steps.median * STEPS_PER_EPOCH * epochs
        share = (EVALUATIONS * once + slow) / training
        rows.append(
            [method, number_with_range(steps), f"{epochs:,}", number(training / 3600),
             number((EVALUATIONS * once + slow) / 3600), f"{100 * share:.1f} %"]
        )  # fmt: skip
        print(f"{method}: {EVALUATIONS} evaluations cost {100 * share:.1f} %", flush=True)
    text = "\n\n".join(
        [
            f"# {EVALUATIONS} evaluations beside a training as long as the paper's",
            f"Made by `{' '.join(['python benchmarks/evaluation_cost.py', *sys.argv[1:]])}`. "
            f"{options.train:,} training and {options.test:,} test images, {options.labelled:,} "
            f"labelled ones for probes, width {options.width}, batch {options.batch}, "
            f"{best_precision(device)} in training; all scores of all encoder layers, signals and "
            "probes of both spaces; oc-svm at the last evaluation alone. "
            "Seconds are measured, hours multiplied out.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            markdown_table(
                ["method", "a step, s", "epochs", "training, h", "evaluations, h", "share"], rows
            ),
            "One evaluation:",
            markdown_table(["method", "part", "s, median (range)", "n"], parts),
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


def timed_parts(
    config: TrialConfig, options: argparse.Namespace, device: torch.device
) -> list[tuple[str, Spread]]:
    """The parts of an evaluation and their seconds, on random images."""
    counts = {"train": options.train, "test": options.test, "labelled": options.labelled}
    found = []
    for name, part in evaluation_parts(config, device, counts, SIZE).items():
        repeats = 1 if name.startswith("embed") else options.rounds
        found.append((name, Spread.of([seconds_for(part, device) for _ in range(repeats)])))
        print(f"{config.method}, {name}: {found[-1][1].median:.2f} s", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
