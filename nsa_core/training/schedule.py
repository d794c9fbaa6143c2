"""How long a training is, and when it is evaluated."""

import math
from dataclasses import dataclass

from nsa_core import methods
from nsa_core.config import TrialConfig
from nsa_core.errors import InputError


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a training over n instances: images, or what a method makes of them.

    Attributes:
        steps_per_epoch: whole batches in an epoch.
        total_steps: optimiser steps in all.
        epochs: epochs in all; the last one may be cut short by a budget in steps.
        evaluate_after: epochs after which the model is evaluated, rising, ending with the last;
            0 alone where nothing is trained.
        warmup_steps: in which the learning rate rises.
    """

    steps_per_epoch: int
    total_steps: int
    epochs: int
    evaluate_after: tuple[int, ...]
    warmup_steps: int = 0

    def learning_rate_factor(self, step: int) -> float:
        """Linear up to 1 over the warm-up, then half a cosine from 1 towards 0 at the end."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done, left = step - self.warmup_steps, self.total_steps - self.warmup_steps
        return (1 + math.cos(math.pi * done / left)) / 2


def plan(config: TrialConfig, images: int) -> Schedule:
    """The schedule of a configuration on a training set of n images.

    Raises:
        InputError: the batch is larger than the training set, or the warm-up takes all of it.
    """
    if not methods.trains(config.method):
        return Schedule(steps_per_epoch=0, total_steps=0, epochs=0, evaluate_after=(0,))
    images *= methods.instances(config.method, config.method_options)
    if config.batch_size > images:
        raise InputError(
            f"batch_size {config.batch_size} is larger than the training set of {images} images "
            f"(class {config.normal_class} of {config.dataset}); use at most {images}"
        )
    steps_per_epoch = images // config.batch_size
    if config.budget_unit == "epochs":
        epochs, total_steps = config.budget, config.budget * steps_per_epoch
    else:
        epochs, total_steps = math.ceil(config.budget / steps_per_epoch), config.budget
    warmup_steps = config.warmup_epochs * steps_per_epoch
    if warmup_steps >= total_steps:
        raise InputError(
            f"warmup_epochs is {config.warmup_epochs}, which is {warmup_steps} of the training's "
            f"{total_steps} steps; use less than {total_steps / steps_per_epoch:g} epochs"
        )
    evaluate_after = log_spaced(epochs, config.evaluations)
    return Schedule(steps_per_epoch, total_steps, epochs, evaluate_after, warmup_steps)


def log_spaced(last: int, count: int) -> tuple[int, ...]:
    """At most ``count`` distinct whole numbers from 1 to ``last``, evenly spaced in the logarithm.

    Always ends with ``last``; small numbers that coincide are merged.
    """
    if count == 1:
        return (last,)
    points = {round(last ** (index / (count - 1))) for index in range(count)}
    return tuple(sorted(points))
