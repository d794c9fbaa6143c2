"""How long a model takes, from measured rates, and the length that fits."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from paper_results import Trained

from nsa_core import OneClassSplit, TrialConfig
from nsa_core.training import Pulse, plan, train

_SAME = ("method", "batch_size", "depth", "width", "precision", "channels_last")


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured on one device, for one kind of model.

    Attributes:
        images_per_second: training images, each of which is a pair of views.
        evaluate_s: seconds an evaluation takes.
    """

    images_per_second: float
    evaluate_s: float

    def seconds(self, config: TrialConfig, images: int) -> float:
        """The forecast of a whole training on so many images."""
        schedule = plan(config, images)
        training = schedule.total_steps * config.batch_size / self.images_per_second
        return training + len(schedule.evaluate_after) * self.evaluate_s


def recorded(trained: Iterable[Trained], config: TrialConfig, device: str) -> Speed | None:
    """The median of all evaluated epochs of models of this kind on this device."""
    kind = config.to_dict()
    rows = [
        row
        for each in trained
        for row in each.epochs()
        if row["device"] == device and all(row[name] == kind[name] for name in _SAME)
    ]
    if not rows:
        return None
    rates = [row["images_per_second"] for row in rows]
    return Speed(statistics.median(rates), statistics.median(r["evaluate_seconds"] for r in rows))


def measured(config: TrialConfig, split: OneClassSplit, device: torch.device) -> Speed:
    """From two epochs of real training; the first one warms up."""
    pulses: list[Pulse] = []
    short = replace(config, budget=2, evaluations=1)
    (evaluation,) = train(short, split, device, on_epoch=pulses.append)
    return Speed(pulses[-1].images_per_second, evaluation.evaluate_seconds)


def shortened(config: TrialConfig, images: int, speed: Speed, seconds: float) -> TrialConfig:
    """The configuration, its epochs halved until it takes at most so long; one epoch at least.

    Halved, and not cut to fit, so that models of different classes and runs have equal lengths.
    """
    while config.budget > 1 and speed.seconds(config, images) > seconds:
        config = replace(config, budget=config.budget // 2)
    return config
