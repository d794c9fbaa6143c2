"""A training that repeats its first epoch, alone or beside others on streams of their own."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from hardware import STEPS, Spread, made_step, seconds_for
from torch.utils.flop_counter import FlopCounterMode

from nsa_core import TrialConfig
from nsa_core.training.step import TrainingStep


class EagerStep(TrainingStep):
    """Never captured: its kernels are launched one by one."""

    def _capture(self) -> None:  # type: ignore[override]
        pass


class Trial:
    """The product's own step on random images; on CUDA captured, unless ``eager``."""

    def __init__(
        self, config: TrialConfig, size: int, device: torch.device, *, eager: bool = False
    ) -> None:
        self.batch, self._device, self._left = config.batch_size, device, 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        with self._on_stream():
            self._step = made_step(config, size, device, EagerStep if eager else TrainingStep)
        self.run(STEPS)  # captures, and warms up

    def run(self, count: int) -> None:
        """Take steps, as many epochs as they need, and wait for the last."""
        with self._on_stream():
            for _ in range(count):
                self._left = self._left or self._step.begin(1)
                self._step()
                self._left -= 1
        if self._stream is not None:
            self._stream.synchronize()

    def check_waits(self) -> None:
        """An epoch's steps on CUDA, where a wait for the device in one of them is an error."""
        with self._on_stream():
            self._step.begin(1)
            torch.cuda.set_sync_debug_mode("error")
            try:
                for _ in range(STEPS):
                    self._step()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        self._left = 0

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


@contextmanager
def timed_steps(device: torch.device) -> Iterator[Callable[[], list[float]]]:
    """Trainings in this context time their steps on the device; gives the seconds of each."""
    marks: list[tuple[Any, Any]] = []
    cuda = device.type == "cuda"

    def now() -> Any:
        if not cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    class Timed(TrainingStep):
        def __call__(self) -> None:
            began = now()
            super().__call__()
            marks.append((began, now()))

    def seconds() -> list[float]:
        if cuda:
            torch.cuda.synchronize(device)
        return [a.elapsed_time(b) / 1000 if cuda else b - a for a, b in marks]

    module = sys.modules["nsa_core.training.train"]
    module.TrainingStep = Timed  # type: ignore[attr-defined]
    try:
        yield seconds
    finally:
        module.TrainingStep = TrainingStep  # type: ignore[attr-defined]


def pair_rate(trials: Sequence[Trial], blocks: int, block_s: float, limit_s: float) -> Spread:
    """Image pairs a second of all of them, each in a thread of its own."""
    device = torch.device("cpu")  # trials wait for their own streams
    with ThreadPoolExecutor(len(trials)) as pool:

        def together(count: int) -> float:
            return seconds_for(lambda: [*pool.map(lambda each: each.run(count), trials)], device)

        pairs, first = sum(each.batch for each in trials), together(1)
        if first > limit_s:
            return Spread.of([pairs / first])
        count = max(1, round(block_s * STEPS / together(STEPS)))
        return Spread.of([pairs * count / together(count) for _ in range(blocks)])


def pair_flops(config: TrialConfig, size: int) -> float:
    """FLOPs of a step, views, forward and backward, for one image; counted on a CPU."""
    few = replace(config, batch_size=4, precision="fp32")
    step = made_step(few, size, torch.device("cpu"))
    step.begin(1)
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / few.batch_size
