"""A trial in training, on a thread of its own; knows nothing of Ray."""

import math
import os
import random
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch

from nsa_core import Evaluation, InputError
from nsa_core.training import Pulse
from nsa_core.training.packing import free_memory, own_stream
from studies.trial.failures import UnusableStoreError, check_there, checked_store
from studies.trial.life import run_trial
from studies.trial.machine import chosen_device
from tracking import TrialRecord, open_store
from tracking.files.place import locate
from tracking.selection import goodness, last_value

_idle: list[ThreadPoolExecutor] = []
"""Threads that ended trials have left to the next ones, on CUDA with a stream."""


class RunningTrial:
    """Trains up to the next evaluation whenever it is asked for a report.

    Others may run beside it in the same process; it shares nothing with them that changes a number.

    Args:
        task: ``trial_id``, ``store``, ``data_root``, ``device`` ("auto", "cpu" or "cuda"),
            ``cpus``, ``stop_by`` (the signal that a scheduler may stop it by, of
            ``selection.SIGNALS``; None for nothing) and ``beat_s`` (how long a report may take).
        gpus: ids of the GPUs that it was given.
        alone: whether it has the process for itself.
    """

    def __init__(self, task: Mapping[str, Any], gpus: Sequence[str], alone: bool) -> None:
        self._task, self._gpus, self._alone = task, gpus, alone
        if alone:
            reset_seeds()
        self._pulse: Pulse | None = None
        self._next: Future[Evaluation | None] | None = None
        self._trainer = _thread()
        self._clock = self._trainer.submit(_clock_of_this_thread).result()
        self._evaluations = self._train()
        self._record: TrialRecord

    def report(self) -> dict[str, Any]:
        """Wait for the next evaluation, at most ``beat_s`` seconds; then say how far it is.

        ``done`` is whether it has ended, ``signal`` what a scheduler may stop it by, ``cpu_s`` the
        processor time of its thread and of compilers, ``unusable`` what ails the store, where no
        trial can go on.
        """
        try:
            return self._report()
        except UnusableStoreError as error:
            return {"done": True, "unusable": str(error)}

    def close(self) -> None:
        """Release the trial's lock, model and memory, once it has got to its next evaluation."""
        if self._next is not None:
            wait([self._next])
            self._next = None
        self._trainer.submit(self._evaluations.close).result()
        _idle.append(self._trainer)
        free_memory()
        if self._alone and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()

    def _report(self) -> dict[str, Any]:
        if self._next is None:
            self._next = self._trainer.submit(self._advance)
        if not wait([self._next], timeout=self._task["beat_s"]).done:
            return {"done": False, **self._progress()}
        ready, self._next = self._next, None
        evaluation = ready.result()
        if evaluation is None:
            return {"done": True}
        told = {"done": evaluation.share == 1, **self._progress()}
        if name := self._task["stop_by"]:
            value = last_value(self._record.signals(), name)
            told["signal"] = -math.inf if value is None else goodness(value, name)
        return told

    def _progress(self) -> dict[str, Any]:
        compilers = sum(os.times()[2:4])  # programs that this process has started
        # Who waits for a compiler waits for all threads of this process.
        compiling = self._pulse is not None and self._pulse.compiling
        clock = time.CLOCK_PROCESS_CPUTIME_ID if compiling else self._clock
        work = {"cpu_s": time.clock_gettime(clock) + compilers}
        if self._pulse is None:
            return work
        return {
            **work,
            "progress": self._pulse.share,
            "epoch": self._pulse.epoch,
            "speed": self._pulse.images_per_second,
            "compiling": self._pulse.compiling,
        }

    # on the trainer thread -----------------------------------------------------------------

    def _advance(self) -> Evaluation | None:
        """Train up to the next evaluation, after the last one to the end."""
        torch.set_num_threads(self._task["cpus"])  # Ray sets OMP_NUM_THREADS to 1
        evaluation = next(self._evaluations, None)
        if evaluation is not None and evaluation.share == 1:
            next(self._evaluations, None)  # before Ray takes the worker away
        return evaluation

    def _train(self) -> Generator[Evaluation, None, None]:
        """The trial's evaluations. The store is first opened here: it may be gone, or hang."""
        store = self._task["store"]
        with checked_store(store):
            check_there(locate(store))
            self._record = open_store(store).trial(self._task["trial_id"])
        try:
            device = chosen_device(self._task["device"], self._gpus)
        except InputError as error:
            with self._record.claim():
                self._record.end("failed", str(error))
            return
        with own_stream(device):
            yield from run_trial(
                self._record, self._task["data_root"], device, self._note, self._alone
            )

    def _note(self, pulse: Pulse) -> None:
        self._pulse = pulse


def reset_seeds() -> None:
    """Nothing of ours draws from these generators of the process; what others do starts equal."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)


def _thread() -> ThreadPoolExecutor:
    try:
        return _idle.pop()
    except IndexError:
        return ThreadPoolExecutor(1, "training")


def _clock_of_this_thread() -> int:
    return time.pthread_getcpuclockid(threading.get_ident())
