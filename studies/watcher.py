"""What the driver does while trials run: it shows progress and notes what only it can know."""

import contextlib
import logging
from typing import Any

from ray import tune

from studies.disk import DiskFullError
from studies.memory import OUT_OF_MEMORY, kills_for_memory, out_of_memory
from studies.progress import Progress
from tracking import ENDED, Store, StoreError

_log = logging.getLogger(__name__)


class Watcher(tune.Callback):  # type: ignore[misc]
    """Shows progress, and writes to the ledger what only the driver knows of a trial's end."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._stopped: dict[str, str] = {}
        self._kills = kills_for_memory()
        self._disk_full = ""

    def stopper(self) -> tune.Stopper:
        """Ends the run where no trial can go on."""
        return _Stopper(self)

    @property
    def hopeless(self) -> bool:
        """Whether no trial can go on."""
        return bool(self._disk_full)

    def check(self) -> None:
        """Say why a run has ended before its trials.

        Raises:
            DiskFullError: the store's disk is full.
        """
        if self._disk_full:
            raise DiskFullError(self._disk_full)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._disk_full = self._disk_full or result.get("disk_full", "")
        if "progress" in result:
            self._progress.advance(trial.config["trial_id"], result["progress"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.hopeless:
            return  # it is interrupted, not stopped
        key = trial.config["trial_id"]
        state = self._store.trial(key).state()
        if state["status"] not in ENDED:
            epoch = trial.last_result.get("epoch", 0)
            self._stopped[key] = f"by the scheduler after epoch {epoch}"
        if aside := state.get("set_aside"):
            _log.warning("trial %s: %s", key, aside)
        self._progress.end(key)
        self.settle()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Out of memory is tried once more, in a worker that holds nothing of earlier trials."""
        if self._out_of_memory(trial):
            trial.max_failures = trial.num_failures
            # Ray reuses a worker only for an equal request, and this one is equal to no other.
            request = trial.placement_group_factory
            trial.update_resources(
                tune.PlacementGroupFactory(request.bundles, strategy="STRICT_PACK")
            )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        memory = self._out_of_memory(trial)
        record = self._store.trial(trial.config["trial_id"])
        with record.claim():
            if record.state()["status"] not in ENDED:
                failures = trial.num_failures
                message = f"its worker died {failures} time{'s' * (failures != 1)}"
                if memory:
                    message = out_of_memory(f"{message}, the last one killed by the kernel")
                record.end("failed", message)
        self._progress.end(trial.config["trial_id"])

    def _out_of_memory(self, trial: Any) -> bool:
        """Whether that is why an attempt failed: the worker said so, or the kernel killed it."""
        state = self._store.trial(trial.config["trial_id"]).state()
        if state["status"] == "failed":
            return str(state["message"]).startswith(OUT_OF_MEMORY)
        before, self._kills = self._kills, kills_for_memory()
        return self._kills > before

    def settle(self, wait_s: float = 0.0) -> None:
        """Mark stopped trials as such, once their workers have let go of them."""
        for key, message in [*self._stopped.items()]:
            record = self._store.trial(key)
            with contextlib.suppress(StoreError), record.claim(wait_s):
                if record.state()["status"] not in ENDED:
                    record.end("stopped", message)
                del self._stopped[key]


class _Stopper(tune.Stopper):  # type: ignore[misc]
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._watcher.hopeless

    def stop_all(self) -> bool:
        return self._watcher.hopeless
