"""What one training costs, timed while others like it run beside it."""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nsa_core import Evaluation, OneClassSplit, TrialConfig, train
from nsa_core.data import Labelled
from nsa_core.training import Pulse, plan
from nsa_core.training.packing import own_stream
from studies.trial.data import split_of
from studies.trial.machine import peak_memory_mb

_SOME_IMAGES = 1000  # of the training and of the test images, for an evaluation
_TIMED_SECONDS = 2.0
_EPOCH_STEPS = 4
_MOST_EPOCHS = 1000


def time_copy(
    config: TrialConfig, data_root: str | None, device: torch.device, together: Any
) -> dict[str, float]:
    """What one copy costs; ``together`` is a barrier. The memory is that of the process."""
    pulses: list[Pulse] = []
    split = _some_of(split_of(config, data_root), config.batch_size)
    with own_stream(device):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "checkpoint.pt"
            _run(config, split, device, checkpoint, pulses.append)
            disk_mb = checkpoint.stat().st_size / 2**20
        step_s = _step_seconds(config, split, device, together)
        together.wait()
        timed = _run(config, split, device)
        together.wait()  # until all have been timed beside the others
    compilations = [each.compilation for each in pulses if each.compilation]
    images = len(split.train_images) + len(split.test_images)
    images += len(split.labelled.train_images) if split.labelled else 0
    return {
        "step_s": step_s,
        "evaluate_s": timed.evaluate_seconds / images,
        "memory_mb": peak_memory_mb(device),
        "disk_mb": disk_mb,
        "compile_s": sum(each.seconds for each in compilations),
        "not_compiled": float(any(each.failure for each in compilations)),
    }


def _step_seconds(
    config: TrialConfig, split: OneClassSplit, device: torch.device, together: Any
) -> float:
    """Seconds a step, without the first epoch, which waits for CUDA to capture a step."""
    few = replace(split, train_images=split.train_images[: _EPOCH_STEPS * config.batch_size])
    ends: list[float] = []

    def note(pulse: Pulse) -> None:
        if pulse.compiling or pulse.compilation:
            return
        if not ends:
            together.wait()
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > _TIMED_SECONDS:
            raise _EnoughError

    long = replace(config, budget=_MOST_EPOCHS, budget_unit="epochs", evaluations=1)
    with suppress(_EnoughError):
        for _ in train(long, few, device, on_epoch=note):
            pass
    steps = (len(ends) - 1) * plan(long, len(few.train_images)).steps_per_epoch
    return (ends[-1] - ends[0]) / steps if steps else 0.0  # a method that trains nothing


class _EnoughError(Exception):
    """Ends a training that has been timed."""


def _run(
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Pulse], None] | None = None,
) -> Evaluation:
    """One step and an evaluation."""
    short = replace(config, budget=1, budget_unit="steps", evaluations=1)
    return [*train(short, split, device, checkpoint, on_epoch=on_epoch)][-1]


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
