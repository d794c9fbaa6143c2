"""What ``cpu_training.py`` measures of a network: ours and lightly's, in turn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from hardware import (
    Spread,
    Step,
    random_images,
    seconds_for,
    step_without_views,
    training_step,
)
from torch import Tensor

from nsa_core import ImageSet, OneClassSplit, TrialConfig, one_class_split, train
from nsa_core.augment import augment
from nsa_core.training import Pulse, best_precision

try:
    import lightly_peer
except ImportError:
    lightly_peer = None

CPU = torch.device("cpu")
SIZE = 32
TEST_IMAGES = 16
WORKERS = (0, 2)

Measure = Callable[[], float]
"""Measures once, and gives image pairs a second."""

Found = dict[str, dict[str, Spread]]
"""Pairs a second by part and name."""


@dataclass(frozen=True, slots=True)
class Case:
    """A network and batch size, and how long one measurement takes, about, in seconds."""

    width: int
    batch: int
    seconds: float

    def config(self, precision: str = "fp32", channels_last: bool = True) -> TrialConfig:
        """SimSiam without norms: lightly has none."""
        return TrialConfig(
            norm="none", width=self.width, batch_size=self.batch, precision=precision,
            channels_last=channels_last, budget=2, evaluations=1, layers=("embedding",),
        )  # fmt: skip


def measured(case: Case, rounds: int) -> Found:
    """All of them once a round."""
    print(f"width {case.width}, batch {case.batch}: first steps", flush=True)
    measures = list(_measures(case))
    rates: dict[tuple[str, str], list[float]] = {(part, name): [] for part, name, _ in measures}
    for index in range(rounds):
        print(f"width {case.width}, batch {case.batch}: round {index + 1} of {rounds}", flush=True)
        for part, name, measure in measures:
            rates[part, name].append(measure())
    found: Found = {"end to end": {}, "step": {}, "views": {}}
    for (part, name), values in rates.items():
        found[part][name] = Spread.of(values)
    return found


def _measures(case: Case) -> Iterator[tuple[str, str, Measure]]:
    """Part, name and measure of all that is compared, warmed up."""
    best = best_precision(CPU)
    ours, plain = case.config(best), case.config("fp32", channels_last=False)
    whole = _repeated(training_step(ours, SIZE, CPU), case)
    name = f"ours, {best}, channels_last"
    yield "step", name, _repeated(step_without_views(ours, SIZE, CPU), case)
    yield "step", "ours, with its views", whole
    if best != "fp32":
        fp32 = step_without_views(case.config(), SIZE, CPU)
        yield "step", "ours, fp32, channels_last", _repeated(fp32, case)
    count = case.batch * max(2, round(whole() * case.seconds / case.batch))
    pictures = random_images(count + TEST_IMAGES, SIZE)
    test, images = pictures[:TEST_IMAGES], pictures[TEST_IMAGES:]
    yield "views", "ours", _repeated(_two_views(images[: case.batch], ours), case)
    yield "end to end", name, _trained(ours, _split(images, test))
    if lightly_peer is None:
        return
    as_ours = f"lightly, in {best} and channels_last"
    for config, peer in ((plain, "lightly, fp32"), (ours, as_ours)):
        step = lightly_peer.training_step(config)
        views = [augment(images[: case.batch], ours.augment, torch.Generator()) for _ in range(2)]
        yield "step", peer, _repeated(lambda step=step, views=views: step(*views), case)
        for workers in WORKERS if config is plain else WORKERS[-1:]:
            batches = lightly_peer.loader(images, case.batch, workers)
            yield "end to end", f"{peer}, {workers} workers", _passes(batches, step, count)
    batches = lightly_peer.loader(images, case.batch, 0)
    yield "views", "lightly, in one process", _passes(batches, lambda *_: None, count)


def _repeated(step: Step, case: Case) -> Measure:
    """Steps in a row, about as long as one measurement takes."""
    step()
    count = max(1, round(case.seconds / seconds_for(step, CPU)))
    return lambda: count * case.batch / seconds_for(step, CPU, count)


def _two_views(images: Tensor, config: TrialConfig) -> Step:
    stream = torch.Generator().manual_seed(0)
    return lambda: augment(images, config.augment, stream, 2)


def _trained(config: TrialConfig, split: OneClassSplit) -> Measure:
    """The second epoch of a training by ``nsa_core.train``; the first warms up."""

    def measure() -> float:
        pulses: list[Pulse] = []
        list(train(config, split, CPU, on_epoch=pulses.append))
        return pulses[-1].images_per_second

    return measure


def _passes(batches: object, step: Callable[..., object], count: int) -> Measure:
    """The second of two passes over lightly's loader; the first warms up, and starts workers."""

    def epoch() -> None:
        for views, _, _ in batches:
            step(*views)

    def measure() -> float:
        epoch()
        return count / seconds_for(epoch, CPU)

    return measure


def _split(images: Tensor, test: Tensor) -> OneClassSplit:
    """All training images normal, half of the test images outliers."""
    names = ("normal", "outlier")
    labels = np.arange(len(test)) % 2
    training = ImageSet(images.numpy(), np.zeros(len(images), np.int64), names)
    return one_class_split(training, ImageSet(test.numpy(), labels, names), 0)
