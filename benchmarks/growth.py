"""What grows with the training set, and what with epochs and evaluations.

    python benchmarks/growth.py [--device cuda] [--width 64]

Training steps, embedding and the parts of an evaluation with 1,000 to 50,000 training images, in
turns, so that all sizes meet the machine in the same state; then one training of many evaluations,
and the memory after each.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import torch
from evaluation_parts import evaluation_parts
from hardware import (
    Spread,
    Step,
    describe,
    markdown_table,
    number_with_range,
    random_images,
    seconds_for,
)

from nsa_core import TrialConfig, load_images, one_class_split, train
from nsa_core.training import best_precision, build_method
from nsa_core.training.optimiser import build_optimiser
from nsa_core.training.schedule import plan
from nsa_core.training.step import TrainingStep

OUTPUT = Path(__file__).parent / "results" / "growth.md"
STEPS = 8
LONG = ("embedding", "signals", "fast scores")  # enough to be measured once


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=8, metavar="N")
    parser.add_argument("--depth", type=int, default=10, metavar="N")
    parser.add_argument("--size", type=int, default=16, metavar="N", help="of images")
    parser.add_argument("--batch", type=int, default=64, metavar="N")
    parser.add_argument("--train", default="1000,5000,20000,50000", help="sizes of training set")
    parser.add_argument("--scored", type=int, default=20_000, metavar="N", help="the largest of it")
    parser.add_argument("--test", type=int, default=1_000, metavar="N", help="test images")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--evaluations", type=int, default=40, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    device = torch.device(options.device)
    machine = describe(device)
    sizes = [int(each) for each in options.train.split(",")]
    config = TrialConfig(
        depth=options.depth,
        width=options.width,
        batch_size=options.batch,
        layers=("embedding",),
        precision=best_precision(device),
        method_options={"projector_dim": 128, "predictor_dim": 64},
    )
    text = "\n\n".join(
        [
            "# What grows with the training set, with epochs and with evaluations",
            f"Made by `{shlex.join(['python', 'benchmarks/growth.py', *sys.argv[1:]])}`. SimSiam, "
            f"ResNet-{options.depth} of width {options.width}, batch {options.batch}, "
            f"{config.precision}, {options.size}x{options.size} RGB, {options.test:,} test images, "
            "scores of the embedding.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            f"Microseconds{'' if device.type == 'cuda' else ' of the processor'} a training image "
            "(of steps: an image that is trained on), median (range) of n rounds, and how many "
            "times that of the smallest set:",
            markdown_table(
                ["", *[f"{size:,} images" for size in sizes], "n"],
                by_size(config, sizes, options, device),
            ),
            "Scores compare every image with every training image, so theirs is expected to grow.",
            memory(options, device),
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


def by_size(
    config: TrialConfig, sizes: list[int], options: argparse.Namespace, device: torch.device
) -> list[list[str]]:
    """A row a part."""
    found: dict[str, dict[int, list[float]]] = {}
    tasks = {size: tasks_of(config, size, options, device) for size in sizes}
    for turn in range(options.rounds + 1):  # the first one warms up
        for size, parts in tasks.items():
            for name, (count, task) in parts.items():
                if turn != 1 and name in LONG:
                    continue
                taken = _taken(task, device) / count
                if turn:
                    found.setdefault(name, {}).setdefault(size, []).append(1e6 * taken)
        print(f"round {turn} of {options.rounds}", file=sys.stderr, flush=True)
    rows = []
    for name, values in found.items():
        spreads = {size: Spread.of(each) for size, each in values.items()}
        base = spreads[sizes[0]].median
        cells = [
            f"{number_with_range(spreads[size])}, x {spreads[size].median / base:.2f}"
            if size in spreads
            else "not measured"
            for size in sizes
        ]
        rows.append([name, *cells, str(spreads[sizes[0]].n)])
    return rows


def _taken(task: Step, device: torch.device) -> float:
    """Seconds; on a CPU those of the processor, as other programs have their share of the wall."""
    if device.type == "cuda":
        return seconds_for(task, device)
    started = time.process_time()
    task()
    return time.process_time() - started


def tasks_of(
    config: TrialConfig, size: int, options: argparse.Namespace, device: torch.device
) -> dict[str, tuple[int, Step]]:
    """Name to the images that a task has, and the task."""
    method = build_method(config).to(device)
    images = random_images(size, options.size).to(device)
    step = TrainingStep(method, build_optimiser(method, config), config, plan(config, size), images)

    def steps() -> None:
        step.begin(1)
        for _ in range(STEPS):
            step()

    parts = evaluation_parts(config, device, {"train": size, "test": options.test}, options.size)
    parts["embed test images"]()
    tasks: dict[str, tuple[int, Step]] = {
        f"training, {STEPS} steps": (STEPS * config.batch_size, steps),
        "embedding": (size, parts["embed train images"]),
    }
    if size <= options.scored:
        tasks |= {name: (size, parts[name]) for name in ("signals", "fast scores")}
    return tasks


def memory(options: argparse.Namespace, device: torch.device) -> str:
    """A training of many evaluations on the digits, and the memory after some of them."""
    split = one_class_split(load_images("digits", "train"), load_images("digits", "test"), 0)
    config = TrialConfig(
        depth=options.depth,
        width=options.width,
        batch_size=32,
        budget=options.evaluations,
        evaluations=options.evaluations,
        layers=("embedding",),
        learning_rate=1e-3,
        method_options={"projector_dim": 128, "predictor_dim": 64},
    )
    used = [_memory_mb(device) for _ in train(config, split, device)]
    shown = sorted({1, 2, 5, len(used) // 2, len(used)})
    cells = [f"{used[count - 1]:,.0f}" for count in shown]
    return (
        f"Memory of {'the device' if device.type == 'cuda' else 'the process'} in MB after "
        f"so many evaluations, in one training of {config.budget} epochs on the bundled digits:\n\n"
        + markdown_table(["", *map(str, shown)], [["MB", *cells]])
    )


def _memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    sys.exit(main())
