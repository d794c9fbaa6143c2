"""How far a study is, and about how long it will take: one line on a terminal."""

import sys
import time
from collections.abc import Callable


class Progress:
    """Weighs trials by their work and extrapolates.

    Args:
        count: trials still to run.
        total: their work together, in any unit.
        work_of: a trial's share of it, by trial id.
    """

    def __init__(self, count: int, total: float, work_of: Callable[[str], float]) -> None:
        self._count, self._total, self._work_of = count, total, work_of
        self._share: dict[str, float] = {}
        self._ended: set[str] = set()
        self._done = 0.0
        self._start = time.monotonic()
        self._printed = 0.0

    def advance(self, trial_id: str, share: float) -> None:
        """A trial has done this share, in [0, 1], of its training."""
        before = self._share.get(trial_id, 0.0)
        if share > before:
            self._share[trial_id] = share
            self._done += self._work_of(trial_id) * (share - before) / self._total
        self._print()

    def end(self, trial_id: str) -> None:
        """A trial has ended, one way or another."""
        self._ended.add(trial_id)
        self.advance(trial_id, 1.0)
        if len(self._ended) == self._count:
            self._print(force=True)

    def line(self) -> str:
        """For instance ``12 of 24 trials, 55 %, 1:40 so far, about 1:20 left``."""
        elapsed = time.monotonic() - self._start
        text = f"{len(self._ended)} of {self._count} trials, {100 * self._done:.0f} %"
        text += f", {clock(elapsed)} so far"
        if 0.02 < self._done < 0.999:
            text += f", about {clock(elapsed * (1 - self._done) / self._done)} left"
        return text

    def _print(self, force: bool = False) -> None:
        terminal = sys.stderr.isatty()
        if force or time.monotonic() - self._printed > (0.5 if terminal else 10):
            self._printed = time.monotonic()
            end = "" if terminal and not force else "\n"
            start = "\r\x1b[K" if terminal else ""
            print(f"{start}{self.line()}", end=end, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as 1:05, or 2:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
