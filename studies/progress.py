"""How far a study is, and about how long it will take: one line on a terminal."""

import sys
import time
from collections.abc import Mapping


class Progress:
    """Weighs trials by their work and extrapolates.

    Args:
        work: images to train on, by trial id, for every trial still to run.
    """

    def __init__(self, work: Mapping[str, float]) -> None:
        self._work = dict(work)
        self._share = dict.fromkeys(work, 0.0)
        self._ended: set[str] = set()
        self._start = time.monotonic()
        self._printed = 0.0

    def advance(self, trial_id: str, share: float) -> None:
        """A trial has done this share, in [0, 1], of its training."""
        self._share[trial_id] = max(self._share[trial_id], share)
        self._print()

    def end(self, trial_id: str) -> None:
        """A trial has ended, one way or another."""
        self._share[trial_id] = 1.0
        self._ended.add(trial_id)
        self._print(force=len(self._ended) == len(self._work))

    def line(self) -> str:
        """For instance ``12 of 24 trials, 55 %, 1:40 so far, about 1:20 left``."""
        total = sum(self._work.values())
        done = sum(self._work[key] * share for key, share in self._share.items()) / total
        elapsed = time.monotonic() - self._start
        text = f"{len(self._ended)} of {len(self._work)} trials, {100 * done:.0f} %"
        text += f", {_clock(elapsed)} so far"
        if 0.02 < done < 1:
            text += f", about {_clock(elapsed * (1 - done) / done)} left"
        return text

    def _print(self, force: bool = False) -> None:
        terminal = sys.stderr.isatty()
        if force or time.monotonic() - self._printed > (0.5 if terminal else 10):
            self._printed = time.monotonic()
            end = "" if terminal and not force else "\n"
            start = "\r\x1b[K" if terminal else ""
            print(f"{start}{self.line()}", end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
