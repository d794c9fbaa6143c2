"""What Ray Tune runs next: trials of the ledger, by id."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher


class Queue(Searcher):  # type: ignore[misc]
    """Hands out the trials of a grid in the order of their ids' list.

    Args:
        ids: of the trials to run.
        worker: the rest of a worker's configuration, see ``TrialActor``.
    """

    def __init__(self, ids: Sequence[str], worker: dict[str, Any]) -> None:
        super().__init__()
        self._ids, self._worker = deque(ids), worker

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next worker's configuration; ``trial_id`` is Ray's own name for it."""
        return {**self._worker, "trial_id": self._ids.popleft()} if self._ids else self.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn from."""

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; what a second run reads is the ledger."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Never called: ``Tuner.restore`` is not used."""
