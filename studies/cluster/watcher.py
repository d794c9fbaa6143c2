"""The driver's side of running trials: progress, and outcomes only the driver can see."""

import contextlib
import logging
import time
from typing import Any

import ray
from ray import tune

from studies.cluster.alive import check_processes, check_ray
from studies.cluster.pack import end_pack_of
from studies.cluster.progress import Progress
from studies.cluster.stalls import Stalls
from studies.trial.failures import (
    OUT_OF_MEMORY,
    UnusableStoreError,
    check_there,
    kills_for_memory,
    out_of_memory,
)
from tracking import ENDED, Store, StoreError

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 2.0


class Watcher(tune.Callback):
    """Tune callback: shows progress, ends workers that hang, records what only the driver sees.

    Args:
        store: of the trials.
        progress: to show.
        stall_s: how long a trial may make no progress, see ``Stalls``.
    """

    def __init__(self, store: Store, progress: Progress, stall_s: float) -> None:
        self._store, self._progress = store, progress
        self._stopped: dict[str, str] = {}
        self._kills = kills_for_memory()
        self._unusable = ""  # what ails the store
        self._given_up: list[Any] = []  # trials of Tune
        self._looked = time.monotonic()
        self._stalls = Stalls(stall_s, longest_s=2 * _LOOK_EVERY_S)
        self._failures: set[str] = set()  # of compiling, that were told
        self._hung: set[str] = set()  # ids of trials whose last attempt hung

    def stopper(self) -> tune.Stopper:
        """Ends the run once the store cannot be used."""
        return _Stopper(self)

    @property
    def over(self) -> bool:
        """Whether no trial can go on because the store cannot be used."""
        return bool(self._unusable)

    def check(self) -> None:
        """Raise the reason why a run ended early, if it did.

        Raises:
            UnusableStoreError: no trial could go on.
        """
        if self._unusable:
            raise UnusableStoreError(self._unusable)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Every few seconds.

        Raises:
            RayLostError: Ray is not there any more.
            UnusableStoreError: the store is not.
        """
        self._progress.show()
        check_processes()
        passed_s = time.monotonic() - self._looked
        if passed_s > _LOOK_EVERY_S:
            self._looked += passed_s
            check_ray()
            check_there(self._store.root)
            for trial in self._stalls.look(passed_s, trials):
                self._end_worker(trial)

    def _end_worker(self, trial: Any) -> None:
        """End the worker of a trial that hangs; Tune then tries the trial again."""
        key, minutes = trial.config["trial_id"], self._stalls.limit_s / 60
        _log.warning("trial %s: no progress for %g minutes; its worker is ended", key, minutes)
        self._hung.add(key)
        end_pack_of(key)
        ray.kill(trial.temporary_state.ray_actor)

    def take_given_up(self) -> list[str]:
        """Ids of the trials that Tune has given up since this was last asked: before their retries
        were used (as when a worker dies with two calls under way), or with others' process.
        """
        taken, self._given_up = self._given_up, []
        return [trial.config["trial_id"] for trial in taken]

    def end_given_up(self) -> None:
        """Mark the remaining given-up trials as failed."""
        for trial in self._given_up:
            self._fail(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._unusable = self._unusable or result.get("unusable", "")
        if "progress" in result:
            told = (result[name] for name in ("progress", "epoch", "speed", "compiling"))
            self._progress.advance(trial.config["trial_id"], *told)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.over:
            return  # it is interrupted, not stopped
        state = self._store.trial(key := trial.config["trial_id"]).state()
        if state["status"] not in ENDED:
            epoch = trial.last_result.get("epoch", 0)
            self._stopped[key] = f"by the scheduler after epoch {epoch}"
        if aside := state.get("set_aside"):
            _log.warning("trial %s: %s", key, aside)
        if (failure := state.get("not_compiled")) and failure not in self._failures:
            self._failures.add(failure)
            _log.warning("trial %s, and maybe others, trained without --compile: %s", key, failure)
        self._progress.end(key)
        self.settle()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Out of memory is tried once more; the worker that ran out has ended itself."""
        self._hung.discard(trial.config["trial_id"])
        if self._out_of_memory(trial):
            trial.max_failures = trial.num_failures

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        check_ray()  # a worker that died with it is no failure of its trial
        check_there(self._store.root)
        if trial.num_failures <= trial.max_failures or self._interrupted(trial):
            self._given_up.append(trial)
        else:
            self._fail(trial)

    def _interrupted(self, trial: Any) -> bool:
        state = self._store.trial(key := trial.config["trial_id"]).state()
        own = key in self._hung or state["status"] in ENDED
        return 0 < trial.config["gpus"] < 1 and not own

    def _fail(self, trial: Any) -> None:
        key, memory = trial.config["trial_id"], self._out_of_memory(trial)
        record = self._store.trial(key)
        with record.claim():
            if record.state()["status"] not in ENDED:
                failures = trial.num_failures
                message = f"its worker died {failures} time{'s' * (failures != 1)}"
                if key in self._hung:
                    message += (
                        f", the last one ended after {self._stalls.limit_s / 60:g} minutes without "
                        "progress; --stall-minutes gives it longer"
                    )
                elif memory:
                    message = out_of_memory(f"{message}, the last one killed by the kernel")
                record.end("failed", message)
        self._progress.end(key)

    def _out_of_memory(self, trial: Any) -> bool:
        """Whether an attempt failed for lack of memory: recorded by the worker, or an OOM kill."""
        state = self._store.trial(trial.config["trial_id"]).state()
        if state["status"] == "failed":
            return str(state["message"]).startswith(OUT_OF_MEMORY)
        before, self._kills = self._kills, kills_for_memory()
        return self._kills > before

    def settle(self, wait_s: float = 0.0) -> None:
        """Mark stopped trials as such, once their workers have let go of them."""
        for key, message in [*self._stopped.items()]:
            record = self._store.trial(key)
            with contextlib.suppress(StoreError, OSError):  # else the next run does it
                with record.claim(wait_s):
                    if record.state()["status"] not in ENDED:
                        record.end("stopped", message)
                del self._stopped[key]


class _Stopper(tune.Stopper):
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._watcher.over

    def stop_all(self) -> bool:
        return self._watcher.over
