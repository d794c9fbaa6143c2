"""What the driver does while trials run: it shows progress and notes what only it can know."""

import contextlib
import logging
import time
from typing import Any

import ray
from ray import tune

from studies.disk import DiskFullError
from studies.memory import OUT_OF_MEMORY, kills_for_memory, out_of_memory
from studies.progress import Progress
from tracking import ENDED, Store, StoreError

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 2.0


class RayLostError(RuntimeError):
    """Ray's own process beside the driver has died; Ray itself would wait for it without end."""


class Watcher(tune.Callback):  # type: ignore[misc]
    """Shows progress, and writes to the ledger what only the driver knows of a trial's end."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._stopped: dict[str, str] = {}
        self._kills = kills_for_memory()
        self._disk_full = ""
        self._given_up: list[Any] = []  # trials of Tune
        self._looked = time.monotonic()

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

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Every few seconds.

        Raises:
            RayLostError: Ray is not there any more.
        """
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._looked = time.monotonic()
            check_ray()

    def take_given_up(self) -> list[dict[str, Any]]:
        """Workers' configurations of the trials, since this was last asked, that Tune has given up
        before their retries were used: it does so when a worker dies with two calls under way.
        """
        taken, self._given_up = self._given_up, []
        return [trial.config for trial in taken]

    def end_given_up(self) -> None:
        """Mark those that are left of them as failed."""
        for trial in self._given_up:
            self._fail(trial)

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
        check_ray()  # a worker that died with it is no failure of its trial
        if trial.num_failures <= trial.max_failures:
            self._given_up.append(trial)
        else:
            self._fail(trial)

    def _fail(self, trial: Any) -> None:
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


def check_ray() -> None:
    """Raise a RayLostError if Ray is not there any more."""
    own = ray.get_runtime_context().get_node_id()
    if not any(node["NodeID"] == own and node["Alive"] for node in ray.nodes()):
        raise RayLostError(
            "Ray's process on this machine (raylet) has died; the same command goes on where the "
            "study stopped"
        )


class _Stopper(tune.Stopper):  # type: ignore[misc]
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._watcher.hopeless

    def stop_all(self) -> bool:
        return self._watcher.hopeless
