"""Do trainings that share a GPU add up: on streams of one process, or in processes of their own?

    python benchmarks/packing.py --output benchmarks/results/packing.md

Some trainings at once, as many seeds, through ``nsa_core.train``: each in a thread of one process
(a pack), against the peer, as many processes. Counted are the image pairs a second of all, while
all train, without the first epoch, in which CUDA captures the step. Before that: whether packed
trainings of digits have the losses and scores of each alone, bit for bit. Needs no Ray.
"""

import argparse
import multiprocessing
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hardware import Spread, describe, markdown_table, number_with_range, random_images

from nsa_core import OneClassSplit, TrialConfig, load_splits, one_class_split, train
from nsa_core.training import Pulse, best_precision
from nsa_core.training.packing import own_stream

OUTPUT = Path(__file__).parent / "results" / "packing.md"
SIZE = 32


def main() -> int:
    """Compare, measure, print and write the report; 1 if a packed training differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--counts", default="1,2,4,8,16", metavar="N,N", help="trainings at once")
    parser.add_argument("--batch", type=int, default=32, metavar="N")
    parser.add_argument("--width", type=int, default=64, metavar="N")
    parser.add_argument("--depth", type=int, default=18, metavar="N")
    parser.add_argument("--steps", type=int, default=64, metavar="N", help="in an epoch")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="timed, at least")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    counts = [int(each) for each in options.counts.split(",")]
    machine = describe(torch.device(options.device))
    equal = same_as_alone(options, min(4, max(counts)))
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for count in counts:
            for name, measure in (("one process", packed), ("processes", apart)):
                rates.setdefault((name, count), []).append(measure(options, count))
                print(f"{name}, {count}: {rates[name, count][-1]:,.0f} pairs/s", flush=True)
    text = report(options, machine, rates, equal)
    Path(options.output).write_text(text)
    print(text)
    return 0 if equal else 1


def config_of(options: argparse.Namespace, seed: int) -> TrialConfig:
    """SimSiam in the fastest precision of the hardware."""
    return TrialConfig(
        batch_size=options.batch,
        width=options.width,
        depth=options.depth,
        precision=best_precision(torch.device(options.device)),
        seed=seed,
        layers=("embedding",),
    )


def same_as_alone(options: argparse.Namespace, count: int) -> bool:
    """Whether so many packed trainings have the losses and scores of each alone."""

    def numbers(seed: int) -> list[Any]:
        config = replace(config_of(options, seed), budget=2, evaluations=1)
        with own_stream(torch.device(options.device)):
            evaluations = train(config, digits(), options.device)
            return [(each.signals.loss, each.test.auroc) for each in evaluations]

    alone = [numbers(seed) for seed in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return alone == [*pool.map(numbers, range(count))]


def packed(options: argparse.Namespace, count: int) -> float:
    """Pairs a second of so many trainings in threads of this process."""
    together = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(lambda seed: rate(options, seed, together), range(count)))


def apart(options: argparse.Namespace, count: int) -> float:
    """The same in processes of their own."""
    context = multiprocessing.get_context("spawn")
    together, answers = context.Barrier(count), context.Queue()
    workers = [
        context.Process(target=_answer, args=(answers, options, seed, together))
        for seed in range(count)
    ]
    for worker in workers:
        worker.start()
    found = sum(answers.get(timeout=600) for _ in workers)
    for worker in workers:
        worker.join()
    return float(found)


def _answer(answers: Any, *arguments: Any) -> None:
    answers.put(rate(*arguments))


class _EnoughError(Exception):
    """Ends a training that has been timed."""


def rate(options: argparse.Namespace, seed: int, together: Any) -> float:
    """Pairs a second of one training, while the others train too; ``together`` is a barrier."""
    torch.set_num_threads(1)
    images = random_images(options.steps * options.batch, SIZE).numpy()
    split, ends = replace(digits(), train_images=images), []

    def note(pulse: Pulse) -> None:
        if not ends:
            together.wait()
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > options.seconds:
            raise _EnoughError

    long = replace(config_of(options, seed), budget=1_000, evaluations=1)
    with suppress(_EnoughError), own_stream(torch.device(options.device)):
        for _ in train(long, split, options.device, on_epoch=note):
            pass
    together.wait()
    return (len(ends) - 1) * len(images) / (ends[-1] - ends[0])


def digits() -> OneClassSplit:
    """The digit 0 as normal."""
    return one_class_split(*load_splits("digits"), 0)


def report(
    options: argparse.Namespace,
    machine: Mapping[str, str],
    rates: Mapping[tuple[str, int], list[float]],
    equal: bool,
) -> str:
    """What was trained on what, whether it is the same, and the table."""
    config, arguments = config_of(options, 0), " ".join(sys.argv[1:])
    rows = []
    for count in dict.fromkeys(count for _, count in rates):
        one, many = (Spread.of(rates[name, count]) for name in ("one process", "processes"))
        rows.append([str(count), number_with_range(one), number_with_range(many), str(one.n)])
    same = "the bits of each alone" if equal else "**other numbers than each alone**"
    return (
        "\n\n".join(
            [
                "# Trainings that share a device",
                f"Command: `python benchmarks/packing.py {arguments}`".strip() + ".",
                f"{config.method}, ResNet-{config.depth} of width {config.width}, batch "
                f"{config.batch_size}, {config.precision}, images of {SIZE}x{SIZE}. Pairs a second "
                f"of all, median and range. Packed trainings of digits have {same}.",
                markdown_table(["at once", "in one process", "in processes", "n"], rows),
                markdown_table(["hardware", ""], [[*pair] for pair in machine.items()]),
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
