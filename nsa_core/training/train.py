"""Train a method on a one-class split and evaluate it on the way."""

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nsa_core import methods
from nsa_core.augment import augment
from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.errors import DivergedError
from nsa_core.methods import Method
from nsa_core.models import ResNet
from nsa_core.seeds import derive_seed, generator
from nsa_core.training.checkpoint import CheckpointFile, load_checkpoint, save_checkpoint
from nsa_core.training.evaluation import Evaluation, evaluate
from nsa_core.training.precision import autocast
from nsa_core.training.schedule import Schedule, plan

CHECKPOINT_EVERY_S = 300.0


def train(
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device | str = "cpu",
    checkpoint: CheckpointFile | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> Iterator[Evaluation]:
    """Train from scratch, or from the checkpoint, and yield an evaluation at each planned epoch.

    Every random stream is derived from (seed, stream, epoch), so the state at the end of an epoch
    needs no generator: a training that was interrupted and continued gives the same bits, on a
    CPU, as one that was not. The checkpoint is written after the consumer has taken an evaluation
    and asks for the next one, so nothing that was not taken is skipped: after an interruption the
    last evaluation may come again, with the same numbers. It is also written at the end of an
    epoch once ``checkpoint_every_s`` seconds have passed. A finished training keeps its weights
    there, without the optimiser, and yields nothing more.

    Raises:
        InputError: a batch larger than the training set, or a checkpoint that does not belong.
        DivergedError: the loss is no longer finite.
    """
    device = torch.device(device)
    schedule = plan(config, len(split.train_images))
    method = build_method(config).to(device)
    optimiser = torch.optim.Adam(
        method.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    identity = {"config": config.canonical(), "fingerprint": split.fingerprint}
    done = 0
    if checkpoint is not None and (state := load_checkpoint(checkpoint, **identity)):
        done = state["epoch"]
        method.load_state_dict(state["method"])
        if done < schedule.epochs:
            optimiser.load_state_dict(state["optimiser"])

    def save(epoch: int) -> None:
        if checkpoint is not None:
            state: dict[str, Any] = {**identity, "epoch": epoch, "method": method.state_dict()}
            if epoch < schedule.epochs:
                state["optimiser"] = optimiser.state_dict()
            save_checkpoint(checkpoint, state)

    images = torch.tensor(split.train_images, device=device)
    evaluated, saved, trained_steps = time.perf_counter(), time.perf_counter(), 0
    for epoch in range(done + 1, schedule.epochs + 1):
        loss, steps = _train_epoch(method, optimiser, images, config, schedule, epoch)
        trained_steps += steps
        if epoch in schedule.evaluate_after:
            started = time.perf_counter()
            step = min(epoch * schedule.steps_per_epoch, schedule.total_steps)
            signals, test, probes = evaluate(method, config, split, device, loss, step)
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


def build_method(config: TrialConfig) -> Method:
    """The configured method with the initial weights of its seed; leaves global state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "weights"))
        encoder = ResNet(config.depth, config.width, config.stem)
        method = methods.build(config.method, encoder, config.norm, config.method_options)
    if config.channels_last:
        method = method.to(memory_format=torch.channels_last)
    return method


def _train_epoch(
    method: Method,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    config: TrialConfig,
    schedule: Schedule,
    epoch: int,
) -> tuple[float, int]:
    """One pass over shuffled whole batches; the mean loss and the number of steps."""
    device = images.device
    order = torch.randperm(
        len(images), generator=generator(torch.device("cpu"), config.seed, "order", epoch)
    ).to(device)
    views = generator(device, config.seed, "views", epoch)
    first_step = (epoch - 1) * schedule.steps_per_epoch
    steps = min(schedule.steps_per_epoch, schedule.total_steps - first_step)
    method.train()
    total = torch.zeros((), device=device)
    for index in range(steps):
        step = first_step + index
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * schedule.learning_rate_factor(step)
        batch = images[order[index * config.batch_size : (index + 1) * config.batch_size]]
        with autocast(device, config.precision):
            loss = method.loss(batch, lambda x: augment(x, config.augment, views))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        method.after_step((step + 1) / schedule.total_steps)
        total += loss.detach()
    mean = total.item() / steps  # the only wait for the device in an epoch
    if not math.isfinite(mean):
        raise DivergedError(epoch, first_step + steps, mean)
    return mean, steps
