"""Workers that hang: in a read that never returns, a lock, a mount that died."""

from dataclasses import dataclass
from typing import Any

_BUSY = 0.1
"""Who uses so much of a core is at work, however long an epoch or an evaluation takes."""


@dataclass
class _Seen:
    """A worker's last sign of progress: the clock of ``Stalls`` then, and what was known of it."""

    actor: Any
    at_s: float
    place: tuple[float | None, int | None]
    cpu_s: float


class Stalls:
    """Which trials have made no progress for too long: no epoch, and next to no work either.

    Time passes by ``look`` alone, and at most ``longest_s`` between two: while the driver itself
    is stopped, none does.

    Args:
        limit_s: how long is too long.
        longest_s: see above.
    """

    def __init__(self, limit_s: float, longest_s: float) -> None:
        self.limit_s, self._longest_s = limit_s, longest_s
        self._clock = 0.0
        self._seen: dict[str, _Seen] = {}

    def look(self, passed_s: float, trials: list[Any]) -> list[Any]:
        """Those of Tune's trials that hang, after so many seconds since the last look."""
        self._clock += min(passed_s, self._longest_s)
        return [trial for trial in trials if self._hangs(trial)]

    def _hangs(self, trial: Any) -> bool:
        key, actor, told = trial.trial_id, trial.temporary_state.ray_actor, trial.last_result or {}
        if actor is None:  # it waits for a worker, or has ended
            self._seen.pop(key, None)
            return False
        place, cpu_s = (told.get("progress"), told.get("epoch")), told.get("cpu_s", 0.0)
        seen = self._seen.get(key)
        idle = False
        if seen and seen.actor is actor and seen.place == place:
            idle = 0 <= cpu_s - seen.cpu_s < _BUSY * self.limit_s
            if idle and self._clock - seen.at_s <= self.limit_s:
                return False
        self._seen[key] = _Seen(actor, self._clock, place, cpu_s)
        return idle
