"""The queue behind Ray Tune: trials of a source, as many at once as there are slots."""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ray.tune.search import Searcher

ASK = "ray_gpus"
"""The part of a worker's configuration that says how many GPUs Ray is asked for."""


class Source(Protocol):
    """Supplies trials to run; knows nothing of Ray."""

    def next(self) -> str | None:
        """The id of a trial in the store; None if there are no more."""
        ...

    def ended(self, trial_id: str) -> None:
        """Called when a trial has ended or was stopped by a scheduler."""
        ...


class Listed:
    """The trials of a list, in its order."""

    def __init__(self, trial_ids: Iterable[str]) -> None:
        self._left = deque(trial_ids)

    def next(self) -> str | None:
        return self._left.popleft() if self._left else None

    def ended(self, trial_id: str) -> None:
        """Ignored."""


class Queue(Searcher):
    """Hands a source's trials to Ray Tune, each with a slot.

    A trial takes the first free slot and leaves it when it ends, so the next trial asks for the
    same GPUs and Ray gives it the same worker.

    Args:
        source: of trials.
        worker: the rest of a worker's configuration, see ``TrialActor``.
        asks: GPUs that each slot asks for, see ``Placement``.
    """

    def __init__(self, source: Source, worker: dict[str, Any], asks: Sequence[float]) -> None:
        super().__init__()
        self._source, self._worker, self._asks = source, worker, asks
        self._free = list(range(len(asks)))
        self._taken: dict[str, tuple[int, str]] = {}  # Ray's name to slot and trial id

    def suggest(  # type: ignore[override]  # Ray's own searchers return FINISHED, too
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The next worker's configuration; None while no slot is free. The id is Ray's own."""
        if not self._free:
            return None
        if (ours := self._source.next()) is None:
            return str(self.FINISHED)
        slot = heapq.heappop(self._free)
        self._taken[trial_id] = slot, ours
        return {**self._worker, "trial_id": ours, ASK: self._asks[slot]}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Free the slot and tell the source, unless Ray gave the trial up: it may be run again."""
        if trial_id not in self._taken:
            return  # Ray may say so twice
        slot, ours = self._taken.pop(trial_id)
        heapq.heappush(self._free, slot)
        if not error:
            self._source.ended(ours)

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; what a second run reads is the store."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Never called: ``Tuner.restore`` is not used."""
