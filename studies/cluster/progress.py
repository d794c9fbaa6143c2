"""The progress line: trials done, time left, epochs and speed of running trials."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tracking.text import clock

_STALE_S = 600.0
_MOST_SHOWN = 4


@dataclass
class Running:
    """Progress of a running trial.

    Attributes:
        share: of its training that is done, in [0, 1].
        epoch: trained so far.
        images_per_second: speed of its training.
        compiling: it is compiled, before it trains.
        seen: when it was last heard of, in s of the monotonic clock.
    """

    share: float = 0.0
    epoch: int = 0
    images_per_second: float = 0.0
    compiling: bool = False
    seen: float = 0.0


class Progress:
    """Estimates the remaining time from the work done, and prints a line.

    Args:
        count: trials still to run.
        total: their work together, in any unit.
        work_of: a trial's share of it, by trial id.
    """

    def __init__(self, count: int, total: float, work_of: Callable[[str], float]) -> None:
        self.count = count
        self._total, self._work_of = total, work_of
        self._running: dict[str, Running] = {}
        self._ended: set[str] = set()
        self._done = 0.0
        self._start = time.monotonic()
        self._printed = -1.0

    def advance(
        self,
        trial_id: str,
        share: float,
        epoch: int = 0,
        images_per_second: float = 0.0,
        compiling: bool = False,
    ) -> None:
        """Record that a trial has done this share, in [0, 1], of its training."""
        trial = self._running.setdefault(trial_id, Running())
        if share > trial.share:
            self._done += self._work_of(trial_id) * (share - trial.share) / self._total
            trial.share = share
        trial.epoch, trial.images_per_second = epoch, images_per_second
        trial.compiling = compiling
        trial.seen = time.monotonic()
        self.show()

    def end(self, trial_id: str) -> None:
        """Record that a trial has ended, in whatever way."""
        self._ended.add(trial_id)
        self.advance(trial_id, 1.0)
        if len(self._ended) == self.count:
            self.show(force=True)

    def line(self) -> str:
        """For instance ``12 of 24 trials, 55 %, 1:40 so far, about 1:20 left; epoch 7, 12; 840
        images/s``.
        """
        elapsed = time.monotonic() - self._start
        text = f"{len(self._ended)} of {self.count} trials, {100 * self._done:.0f} %"
        text += f", {clock(elapsed)} so far"
        if 0.02 < self._done < 0.999:
            text += f", about {clock(elapsed * (1 - self._done) / self._done)} left"
        return text + self._under_way()

    def show(self, force: bool = False) -> None:
        """Print the line, at most twice a second on a terminal, every 10 s elsewhere."""
        terminal = sys.stderr.isatty()
        now = time.monotonic()
        if force or self._printed < 0 or now - self._printed > (0.5 if terminal else 10):
            self._printed = now
            end = "" if terminal and not force else "\n"
            start = "\r\x1b[K" if terminal else ""
            print(f"{start}{self.line()}", end=end, file=sys.stderr, flush=True)

    def _under_way(self) -> str:
        fresh = time.monotonic() - _STALE_S
        heard = [
            trial
            for key, trial in self._running.items()
            if key not in self._ended and trial.seen > fresh
        ]
        compiling = sum(trial.compiling for trial in heard)
        told = f"; {compiling} compiling" if compiling else ""
        trials = [trial for trial in heard if trial.epoch and not trial.compiling]
        if not trials:
            return told
        epochs = ", ".join(str(trial.epoch) for trial in trials[:_MOST_SHOWN])
        more = ", ..." if len(trials) > _MOST_SHOWN else ""
        speed = sum(trial.images_per_second for trial in trials)
        return f"{told}; epoch {epochs}{more}; {speed:,.0f} images/s"
