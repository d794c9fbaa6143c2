"""What ``cpu_training.py`` measures of a network: ours and lightly's, in turn."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from hardware import (
    NotCompiledError,
    Spread,
    Step,
    random_images,
    seconds_for,
    step_without_views,
    training_step,
)
from torch import Tensor

from nsa_core import ImageSet, OneClassSplit, TrialConfig, one_class_split, train
from nsa_core.augment import MakeViews, augment, make_views
from nsa_core.training import Pulse, best_precision
from nsa_core.training.build import build_method
from nsa_core.training.compilation import compile_parts, compiling
from nsa_core.training.freed_memory import keep_freed_memory

try:
    import lightly_peer
except ImportError:
    lightly_peer = None

CPU = torch.device("cpu")
SIZE = 32
TEST_IMAGES = 16
WORKERS = (0, 2)

WITH_VIEWS = "ours, with its views"
COMPILED = "ours, with its views, compiled"
LIGHTLY = "lightly, in one process"

Measure = Callable[[], float]
"""Measures once, and gives image pairs a second."""

Named = tuple[str, str, Measure]
"""A measure after its part and name."""


@dataclass(frozen=True, slots=True)
class Found:
    """Image pairs a second by part and name, and how compiling went."""

    rates: dict[str, dict[str, Spread]]
    told: str


@dataclass(frozen=True, slots=True)
class Case:
    """A network and batch size, and how long one measurement takes, about, in seconds."""

    width: int
    batch: int
    seconds: float

    def config(
        self, precision: str = "fp32", channels_last: bool = True, compile: bool = False
    ) -> TrialConfig:
        """SimSiam without norms: lightly has none."""
        return TrialConfig(
            norm="none", width=self.width, batch_size=self.batch, precision=precision,
            channels_last=channels_last, compile=compile, budget=2, evaluations=1,
            layers=("embedding",),
        )  # fmt: skip


def measured(case: Case, rounds: int) -> Found:
    """All of them once a round."""
    print(f"width {case.width}, batch {case.batch}: compiling, and first steps", flush=True)
    compiled, told = _compiled(case)
    batches = _batches(case)
    with _theirs(case, batches) as theirs:
        measures = [*_ours(case, batches, compiled), *theirs]
        rates: dict[tuple[str, str], list[float]] = {(part, name): [] for part, name, _ in measures}
        for index in range(rounds):
            print(
                f"width {case.width}, batch {case.batch}: round {index + 1} of {rounds}", flush=True
            )
            for part, name, measure in measures:
                rates[part, name].append(measure())
    found: dict[str, dict[str, Spread]] = {"end to end": {}, "step": {}, "views": {}}
    for (part, name), values in rates.items():
        found[part][name] = Spread.of(values)
    return Found(found, told)


def _compiled(case: Case) -> tuple[tuple[Step, MakeViews] | None, str]:
    """Our step, compiled, and its views; None where that fails. And a sentence about it."""
    config, started = case.config(best_precision(CPU), compile=True), time.perf_counter()
    try:
        step = training_step(config, SIZE, CPU)
    except NotCompiledError as failure:
        return None, f"Nothing could be compiled: {failure}."
    took = time.perf_counter() - started
    with compiling("views"):
        views = compile_parts(build_method(config))
        _two_views(_images(case, 1), config, views)()
    return (step, views), f"Compiling took {took:.0f} s, once: what is compiled is kept on disk."


def _ours(case: Case, batches: int, compiled: tuple[Step, MakeViews] | None) -> Iterator[Named]:
    keep_freed_memory()  # as every training does
    best = best_precision(CPU)
    config, name = case.config(best), f"ours, {best}, channels_last"
    step = _repeated(training_step(config, SIZE, CPU), case)
    yield "step", name, _repeated(step_without_views(config, SIZE, CPU), case)
    yield "step", WITH_VIEWS, step
    if compiled:
        yield "step", COMPILED, _repeated(compiled[0], case)
    if best != "fp32":
        fp32 = step_without_views(case.config(), SIZE, CPU)
        yield "step", "ours, fp32, channels_last", _repeated(fp32, case)
    yield "views", WITH_VIEWS, _repeated(_two_views(_images(case, 1), config), case)
    if compiled:
        views = _two_views(_images(case, 1), config, compiled[1])
        yield "views", COMPILED, _repeated(views, case)
    pictures = random_images(batches * case.batch + TEST_IMAGES, SIZE)
    split = _split(pictures[TEST_IMAGES:], pictures[:TEST_IMAGES])
    yield "end to end", name, _trained(config, split)
    if compiled:
        whole = case.config(best, compile=True)
        yield "end to end", f"{name}, compiled", _trained(whole, split)


@contextmanager
def _theirs(case: Case, batches: int) -> Iterator[list[Named]]:
    """lightly's, in a process of its own: what this one does with freed memory is not its way."""
    if lightly_peer is None:
        yield []
        return
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, case, batches, torch.get_num_threads()))
    process.start()
    there.close()

    def measure(index: int) -> float:
        here.send(index)
        return float(here.recv())

    try:
        yield [
            (part, name, lambda index=index: measure(index))
            for index, (part, name) in enumerate(here.recv())
        ]
    finally:
        here.close()
        process.join()


def _serve(pipe: Connection, case: Case, batches: int, threads: int) -> None:
    torch.set_num_threads(threads)
    measures = [*_peer(case, batches)]
    pipe.send([(part, name) for part, name, _ in measures])
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        pipe.send(measures[index][2]())


def _peer(case: Case, count: int) -> Iterator[Named]:
    best, images = best_precision(CPU), _images(case, count)
    plain, as_ours = case.config("fp32", channels_last=False), case.config(best)
    stream = torch.Generator().manual_seed(0)
    views = augment(_images(case, 1), plain.augment, stream, 2).chunk(2)
    for config, peer in (
        (plain, "lightly, fp32"),
        (as_ours, f"lightly, in {best} and channels_last"),
    ):
        step = lightly_peer.training_step(config)
        yield "step", peer, _repeated(lambda step=step: step(*views), case)
        for workers in WORKERS if config is plain else WORKERS[-1:]:
            batches = lightly_peer.loader(images, case.batch, workers)
            yield "end to end", f"{peer}, {workers} workers", _passes(batches, step, len(images))
    batches = lightly_peer.loader(images, case.batch, 0)
    yield "views", LIGHTLY, _passes(batches, lambda *_: None, len(images))


def _batches(case: Case) -> int:
    """How many make an epoch of about as long as one measurement takes, at our eager speed."""
    step = training_step(case.config(best_precision(CPU)), SIZE, CPU)
    step()
    return max(2, round(case.seconds / seconds_for(step, CPU)))


def _images(case: Case, batches: int) -> Tensor:
    return random_images(batches * case.batch, SIZE)


def _repeated(step: Step, case: Case) -> Measure:
    """Steps in a row, about as long as one measurement takes."""
    step()
    count = max(1, round(case.seconds / seconds_for(step, CPU)))
    return lambda: count * case.batch / seconds_for(step, CPU, count)


def _two_views(images: Tensor, config: TrialConfig, make: MakeViews = make_views) -> Step:
    stream = torch.Generator().manual_seed(0)
    return lambda: augment(images, config.augment, stream, 2, make)


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
