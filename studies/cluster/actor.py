"""The Ray Tune worker: runs trials one after another, here or in the pack of its GPU."""

import os
from typing import Any, Protocol

import ray
from ray import tune

from studies.cluster.pack import PackedTrial
from studies.cluster.queue import ASK
from studies.cluster.worker import begin_worker


class _Trial(Protocol):
    def report(self) -> dict[str, Any]: ...
    def close(self) -> None: ...


class TrialActor(tune.Trainable):
    """A ``step`` returns after an evaluation or a few seconds; durable state is in the store.

    The configuration is the task of a ``RunningTrial``, with ``gpus``: the trial's share of a GPU,
    or whole ones. Trials that share a GPU train in one process, see ``Pack``; this one then waits
    for what that says, and does not import torch.
    """

    _trial: _Trial | None = None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Resources to reserve for a trial: its ``cpus`` cores and its slot's share of a GPU."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config[ASK]}])

    def setup(self, config: dict[str, Any]) -> None:
        self._start(config)
        begin_worker()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse the worker for another trial, which saves seconds of imports."""
        self.cleanup()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Report progress to Ray, see ``RunningTrial.report``."""
        assert self._trial is not None
        return self._trial.report()

    def cleanup(self) -> None:
        """Release the trial's lock, model and memory."""
        if self._trial is not None:
            self._trial.close()
            self._trial = None

    def _start(self, config: dict[str, Any]) -> None:
        gpus = [str(gpu) for gpu in ray.get_gpu_ids()]
        packed = 0 < config["gpus"] < 1
        self._trial = PackedTrial(config, *gpus) if packed else _Alone(config, gpus)


class _Alone:
    """A trial that has this process for itself."""

    def __init__(self, config: dict[str, Any], gpus: list[str]) -> None:
        from studies.trial.running import RunningTrial  # and torch, which a packed one's needs not

        self._trial = RunningTrial(config, gpus, alone=True)

    def report(self) -> dict[str, Any]:
        from studies.trial.failures import is_out_of_memory

        try:
            return self._trial.report()
        except Exception as error:
            if is_out_of_memory(error):
                os._exit(1)  # the next attempt is a fresh worker's, which holds nothing yet
            raise

    def close(self) -> None:
        self._trial.close()
