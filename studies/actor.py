"""A Ray Tune worker: runs trials one after another, none leaving a trace in the next."""

import gc
import math
import os
import random
import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import ray
import torch

from nsa_core import Evaluation, InputError
from studies.disk import DiskFullError
from studies.selection import goodness, last_value
from studies.slots import SlotTrainable
from studies.trial import run_trial
from tracking import open_store

gc.collect()
gc.freeze()  # what was imported stays: collecting between trials need not look at it


class TrialActor(SlotTrainable):
    """One ``step`` is one evaluation; everything durable is in the ledger, not in Ray.

    The configuration holds ``trial_id``, ``store``, ``data_root``, ``device`` ("auto", "cpu" or
    "cuda"), ``cpus``, ``gpus`` (this trial's share, which caps its memory) and ``stop_by`` (the
    signal that a scheduler may stop it by, of ``selection.SIGNALS``; None for nothing).
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Ray's handler wants memory: where there is none it aborts again, in itself, without end.
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
        self._evaluations = self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Ray's way to reuse a worker, which saves seconds of imports a trial."""
        self.cleanup()
        self._evaluations = self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """What Ray learns: how far the trial is, and of its results at most one signal.

        ``disk_full`` is the message of a disk that has no space, where no trial can go on.
        """
        try:
            return self._step()
        except DiskFullError as error:
            return {"done": True, "disk_full": str(error)}

    def _step(self) -> dict[str, Any]:
        evaluation = next(self._evaluations, None)
        if evaluation is None:
            return {"done": True}
        share = evaluation.step / evaluation.total_steps
        if share == 1:
            next(self._evaluations, None)  # to the trial's end, before Ray takes the worker away
        result = {"done": share == 1, "progress": share, "epoch": evaluation.epoch}
        if name := self.config["stop_by"]:
            value = last_value(self._record.signals(), name)
            result["signal"] = -math.inf if value is None else goodness(value, name)
        return result

    def cleanup(self) -> None:
        """Let go of the trial's lock, its model and its memory."""
        self._evaluations.close()
        self._evaluations = _nothing()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _start(self, config: dict[str, Any]) -> Generator[Evaluation, None, None]:
        torch.set_num_threads(config["cpus"])  # Ray sets OMP_NUM_THREADS to 1
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(0)  # nothing of ours draws from these; what others do starts equal
        self._record = open_store(config["store"]).trial(config["trial_id"])
        try:
            device = _device(config)
        except InputError as error:
            with self._record.claim():
                self._record.end("failed", str(error))
            return _nothing()
        return run_trial(self._record, config["data_root"], device)


def _end_with(raylet: int) -> None:
    """Die when this host's raylet has died, which Ray does not see to: the orphan would hold the
    lock of its trial, which goes on elsewhere.
    """
    while os.getppid() == raylet:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _nothing() -> Generator[Evaluation, None, None]:
    """No evaluation; unlike an empty iterator it can be closed, as a trial's can."""
    yield from ()


def _device(config: dict[str, Any]) -> torch.device:
    """From the trial's own resources: a trial without a GPU still sees those of its host."""
    if config["device"] == "cpu" or not (ray.get_gpu_ids() or config["device"] == "cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(
            f"Ray gave this trial GPU {ray.get_gpu_ids()} but torch {torch.__version__} sees no "
            "CUDA device; install a CUDA build, or pass --device cpu"
        )
    if 0 < config["gpus"] < 1:
        torch.cuda.set_per_process_memory_fraction(config["gpus"])
    return torch.device("cuda")
