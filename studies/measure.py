"""What a configuration costs, from a few real steps and an evaluation in processes of their own."""

import math
import multiprocessing
import queue
import statistics
import tempfile
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import torch

from nsa_core import InputError, OneClassSplit, TrialConfig, train
from nsa_core.data import Labelled
from studies.machine import peak_memory_mb
from studies.trial import split_of

_SOME_IMAGES = 1000  # of the training and of the test images, for an evaluation
_TIMED_SECONDS = 2.0
_MOST_STEPS = 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial costs while others like it run beside it.

    Attributes:
        step_s: seconds an optimiser step.
        evaluate_s: seconds an evaluation and embedded image; scores grow a little faster.
        memory_mb: peak of the device; on a CPU of the process, which holds torch too.
        disk_mb: of the weights that a finished trial keeps.
    """

    step_s: float
    evaluate_s: float
    memory_mb: float
    disk_mb: float


def measure(
    config: TrialConfig, data_root: str | None, device: str, cpus: int, copies: int
) -> Cost:
    """Train ``copies`` of a configuration at once for a few steps; medians over the copies.

    Raises:
        InputError: a copy could not run, for instance because the device has too little memory.
    """
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(copies), context.Queue()
    arguments = (config.to_dict(), data_root, device, cpus, barrier, answers)
    workers = [context.Process(target=_worker, args=arguments, daemon=True) for _ in range(copies)]
    for worker in workers:
        worker.start()
    try:
        costs = [_answer(answers, workers) for _ in workers]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    names = ("step_s", "evaluate_s", "memory_mb", "disk_mb")
    return Cost(**{n: statistics.median(cost[n] for cost in costs) for n in names})


def _answer(answers: Any, workers: list[Any]) -> dict[str, float]:
    while True:
        try:
            found: dict[str, float] | str = answers.get(timeout=1.0)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise InputError(
                    "a trial that was measured died (out of memory?); try fewer at once"
                ) from None
            continue
        if isinstance(found, str):
            raise InputError(f"a trial that was measured could not run: {found}")
        return found


def _worker(
    plain: dict[str, Any], data_root: str | None, where: str, cpus: int, together: Barrier, out: Any
) -> None:
    torch.set_num_threads(cpus)
    device = torch.device(where)
    try:
        config = TrialConfig.from_dict(plain)
        split = _some_of(split_of(config, data_root), config.batch_size)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "checkpoint.pt"
            first = _run(config, split, device, 1, checkpoint)
            disk_mb = checkpoint.stat().st_size / 2**20
        steps = max(1, min(_MOST_STEPS, math.ceil(_TIMED_SECONDS / first.train_seconds)))
        together.wait()
        timed = _run(config, split, device, steps, None)
        together.wait()  # until all have been timed beside the others
    except BrokenBarrierError:
        return  # another copy has failed, and says why
    except Exception as error:
        out.put(f"{type(error).__name__}: {error}")
        together.abort()
        return
    images = len(split.train_images) + len(split.test_images)
    if split.labelled is not None:
        images += len(split.labelled.train_images)
    out.put(
        {
            "step_s": timed.train_seconds / steps,
            "evaluate_s": timed.evaluate_seconds / images,
            "memory_mb": peak_memory_mb(device),
            "disk_mb": disk_mb,
        }
    )


def _run(
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    steps: int,
    checkpoint: Path | None,
) -> Any:
    short = replace(config, budget=steps, budget_unit="steps", evaluations=1)
    return [*train(short, split, device, checkpoint)][-1]


def _some_of(split: OneClassSplit, least: int) -> OneClassSplit:
    """A split whose evaluation takes seconds; its training set still fills a batch."""
    few = max(_SOME_IMAGES, least)
    step = max(1, len(split.test_images) // _SOME_IMAGES)
    labelled = split.labelled and Labelled(
        split.labelled.train_images[:_SOME_IMAGES],
        split.labelled.train_labels[:_SOME_IMAGES],
        split.labelled.test_labels[::step],
    )
    return replace(
        split,
        train_images=split.train_images[:few],
        test_images=split.test_images[::step],
        test_is_outlier=split.test_is_outlier[::step],
        labelled=labelled,
    )
