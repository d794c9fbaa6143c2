"""As many trials at once as there are slots, each slot with its place on a GPU."""

import heapq
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

ASK = "ray_gpus"


class Slots(ConcurrencyLimiter):  # type: ignore[misc]
    """Adds to what a queue hands out the GPUs to ask Ray for, as ``ray_gpus``.

    A trial takes the first free slot and leaves it when it ends, so the next trial asks for the
    same and Ray gives it the same worker.

    Args:
        queue: of trials.
        asks: of every slot, see ``Placement``.
    """

    def __init__(self, queue: Searcher, asks: Sequence[float]) -> None:
        super().__init__(queue, max_concurrent=len(asks))
        self._asks = asks
        self._free = list(range(len(asks)))
        self._taken: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The queue's suggestion with its ``ray_gpus``; None while no slot is free."""
        suggested: dict[str, Any] | str | None = super().suggest(trial_id)
        if not isinstance(suggested, dict):
            return suggested
        self._taken[trial_id] = slot = heapq.heappop(self._free)
        return {**suggested, ASK: self._asks[slot]}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Free its slot and tell the queue."""
        super().on_trial_complete(trial_id, result, error)
        if trial_id in self._taken:  # Ray may say so twice
            heapq.heappush(self._free, self._taken.pop(trial_id))


class SlotTrainable(tune.Trainable):  # type: ignore[misc]
    """A worker for what ``Slots`` hands out."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Ray keeps for a trial: its ``cpus`` cores, and its place on a GPU."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config[ASK]}])
