"""The training loop: train on a one-class split and evaluate at planned epochs."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.errors import DivergedError
from nsa_core.methods import Method
from nsa_core.training.build import build_method
from nsa_core.training.checkpoint import CheckpointFile, load_checkpoint, save_checkpoint
from nsa_core.training.compilation import Compilation
from nsa_core.training.embedding import embed
from nsa_core.training.evaluation import Evaluation, evaluate
from nsa_core.training.freed_memory import keep_freed_memory
from nsa_core.training.optimiser import build_optimiser, restore
from nsa_core.training.packing import resident
from nsa_core.training.precision import true_float32
from nsa_core.training.schedule import Schedule, plan
from nsa_core.training.step import TrainingStep

CHECKPOINT_EVERY_S = 300.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Progress of a training run after an epoch, and around the compilation before the first.

    Attributes:
        epoch: epochs trained.
        share: of the whole training that is done, in [0, 1].
        images_per_second: training images (not views) a second in this epoch.
        compiling: the step is being compiled, which may take minutes.
        compilation: how that went, right after it.
    """

    epoch: int
    share: float
    images_per_second: float
    compiling: bool = False
    compilation: Compilation | None = None


def train(
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device | str = "cpu",
    checkpoint: CheckpointFile | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    on_epoch: Callable[[Pulse], None] | None = None,
) -> Iterator[Evaluation]:
    """Train from scratch, or from the checkpoint, and yield an evaluation at each planned epoch.

    Every random stream is derived from (seed, stream, epoch), so the state at the end of an epoch
    needs no generator: a training that was interrupted and continued gives the same bits, on a
    CPU, as one that was not. The checkpoint is written after the consumer has taken an evaluation
    and asks for the next one, so nothing that was not taken is skipped: after an interruption the
    last evaluation may come again, with the same numbers. It is also written at the end of an
    epoch once ``checkpoint_every_s`` seconds have passed. A finished training keeps its weights
    there, without the optimiser, and yields nothing more. ``on_epoch`` is told of every trained
    epoch, which may be long before the next evaluation, and before and after compiling. A method
    that trains nothing has the one evaluation of epoch 0. On a CPU the process keeps the memory
    that is freed in it from then on (``keep_freed_memory``).

    Raises:
        InputError: a batch larger than the training set, images that the method cannot take or
            keeps too few of, or a checkpoint that does not belong.
        DivergedError: the loss or a weight is no longer finite.
    """
    device = torch.device(device)
    if device.type == "cpu":
        keep_freed_memory()
    schedule = plan(config, len(split.train_images))
    method = build_method(config).to(device)
    optimiser = build_optimiser(method, config)
    identity = {"config": config.canonical(), "fingerprint": split.fingerprint}
    done, fresh = 0, True
    if checkpoint is not None and (state := load_checkpoint(checkpoint, **identity)):
        done, fresh = state["epoch"], False
        method.load_state_dict(state["method"])
        if done < schedule.epochs:
            restore(optimiser, state["optimiser"])

    def save(epoch: int) -> None:
        if checkpoint is not None:
            state: dict[str, Any] = {**identity, "epoch": epoch, "method": method.state_dict()}
            if epoch < schedule.epochs:
                state["optimiser"] = optimiser.state_dict()
            save_checkpoint(checkpoint, state)

    def embedded() -> Tensor:
        return embed(method, split.train_images, device)["embedding"]

    images = method.prepare(resident(split.train_images, device))
    training_step = None
    if schedule.total_steps:
        if fresh:
            with true_float32(device):
                method.begin(images)
        training_step = TrainingStep(method, optimiser, config, schedule, images)
        if config.compile and done < schedule.epochs:
            _compile(training_step, done, done / schedule.epochs, on_epoch)
    evaluated, saved, trained_steps = time.perf_counter(), time.perf_counter(), 0
    first = min(done + 1, schedule.epochs) if fresh else done + 1
    for epoch in range(first, schedule.epochs + 1):
        began = time.perf_counter()
        loss = None
        if training_step is not None:
            rows = method.training_rows(epoch, len(split.train_images), embedded)
            loss, steps = _train_epoch(training_step, epoch, schedule, rows)
            trained_steps += steps
            if on_epoch is not None:
                speed = steps * config.batch_size / (time.perf_counter() - began)
                on_epoch(Pulse(epoch, epoch / schedule.epochs, speed))
        if epoch in schedule.evaluate_after:
            started = time.perf_counter()
            step = min(epoch * schedule.steps_per_epoch, schedule.total_steps)
            _check_finite(method, epoch, step)
            last = epoch == schedule.epochs
            signals, test, probes = evaluate(method, config, split, device, loss, step, last)
            ended, train_seconds = time.perf_counter(), started - evaluated
            yield Evaluation(
                epoch=epoch,
                step=step,
                total_steps=schedule.total_steps,
                signals=signals,
                test=test,
                probes=probes,
                train_seconds=train_seconds,
                images_per_second=trained_steps * config.batch_size / train_seconds,
                evaluate_seconds=ended - started,
            )
            save(epoch)
            evaluated = saved = time.perf_counter()
            trained_steps = 0
        elif time.perf_counter() - saved > checkpoint_every_s:
            save(epoch)
            saved = time.perf_counter()


def _compile(
    step: TrainingStep, epoch: int, share: float, tell: Callable[[Pulse], None] | None
) -> None:
    if tell is not None:
        tell(Pulse(epoch, share, 0.0, compiling=True))
    compilation = step.compile()
    if compilation.failure:
        _LOG.warning("trained without being compiled: %s", compilation.failure)
    if tell is not None:
        tell(Pulse(epoch, share, 0.0, compilation=compilation))


def _train_epoch(
    step: TrainingStep, epoch: int, schedule: Schedule, rows: Tensor | None
) -> tuple[float, int]:
    """One pass over shuffled whole batches; the mean loss and the number of steps."""
    steps = step.begin(epoch, rows)
    for _ in range(steps):
        step()
    mean = step.loss.item() / steps  # the only wait for the device in an epoch
    if not math.isfinite(mean):
        raise DivergedError(epoch, (epoch - 1) * schedule.steps_per_epoch + steps, mean)
    return mean, steps


def _check_finite(method: Method, epoch: int, step: int) -> None:
    """Raise a DivergedError if the last step, whose loss was finite, has spoilt a weight."""
    values = [*method.parameters(), *method.buffers()]
    if torch.stack([value.isfinite().all() for value in values]).all():  # one wait for the device
        return
    for value in values:
        if not value.isfinite().all():
            raise DivergedError(epoch, step, float(value[~value.isfinite()][0]), "a weight")
