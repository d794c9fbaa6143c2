"""How long a training is, and when it is evaluated."""

import math
from dataclasses import dataclass

from nsa_core.config import TrialConfig
from nsa_core.errors import InputError


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a training over n images.

    Attributes:
        steps_per_epoch: whole batches in an epoch.
        total_steps: optimiser steps in all.
        epochs: epochs in all; the last one may be cut short by a budget in steps.
        evaluate_after: epochs after which the model is evaluated, rising, ending with the last.
    """

    steps_per_epoch: int
    total_steps: int
    epochs: int
    evaluate_after: tuple[int, ...]

    def learning_rate_factor(self, step: int) -> float:
        """Half a cosine from 1 at step 0 towards 0 at the end."""
        return (1 + math.cos(math.pi * step / self.total_steps)) / 2


def plan(config: TrialConfig, images: int) -> Schedule:
    """The schedule of a configuration on a training set of n images.

    Raises:
        InputError: the batch is larger than the training set.
    """
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
    return Schedule(steps_per_epoch, total_steps, epochs, log_spaced(epochs, config.evaluations))


def log_spaced(last: int, count: int) -> tuple[int, ...]:
    """At most ``count`` distinct whole numbers from 1 to ``last``, evenly spaced in the logarithm.

    Always ends with ``last``; small numbers that coincide are merged.
    """
    if count == 1:
        return (last,)
    points = {round(last ** (index / (count - 1))) for index in range(count)}
    return tuple(sorted(points))
