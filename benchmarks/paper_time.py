"""How long a model takes, from measured rates, and the length that fits."""

import statistics
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import attrgetter

import torch
from paper_results import Trained

from nsa_core import OneClassSplit, TrialConfig
from nsa_core.training import Pulse, plan, train
from nsa_core.training.packing import own_stream

_SAME = ("method", "batch_size", "depth", "width", "precision", "compile", "channels_last")
_EPOCHS = 4


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured on one device, for one model of a kind beside others.

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


def recorded(
    trained: Iterable[Trained], config: TrialConfig, device: str, at_once: int
) -> Speed | None:
    """The median of all evaluated epochs of models of this kind on this device, so many at once."""
    kind = attrgetter(*_SAME)
    rows = [
        row
        for each in trained
        if kind(each.config) == kind(config)
        for row in each.epochs()
        if (row["device"], row["at_once"]) == (device, at_once)
    ]
    if not rows:
        return None
    rates = [row["images_per_second"] for row in rows]
    return Speed(statistics.median(rates), statistics.median(r["evaluate_seconds"] for r in rows))


def measured(
    config: TrialConfig, split: OneClassSplit, device: torch.device, at_once: int
) -> Speed:
    """From some epochs of real training, of so many copies side by side after one that warms up."""
    short = replace(config, budget=_EPOCHS, evaluations=1)

    def copy(_: int = 0) -> Speed:
        pulses: list[Pulse] = []
        with own_stream(device):
            (evaluation,) = train(short, split, device, on_epoch=pulses.append)
        return Speed(pulses[-1].images_per_second, evaluation.evaluate_seconds)

    copy()
    with ThreadPoolExecutor(at_once) as pool:
        found = [*pool.map(copy, range(at_once))]
    return Speed(
        statistics.median(each.images_per_second for each in found),
        statistics.median(each.evaluate_s for each in found),
    )


def shortened(config: TrialConfig, images: int, speed: Speed, seconds: float) -> TrialConfig:
    """The configuration, its epochs halved until it takes at most so long; one epoch at least.

    Halved, and not cut to fit, so that models of different classes and runs have equal lengths.
    """
    while config.budget > 1 and speed.seconds(config, images) > seconds:
        config = replace(config, budget=config.budget // 2)
    return config
