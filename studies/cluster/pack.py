"""Trials that share a GPU share a process, a pack: each has a thread there, and a stream.

What one does as it ends (diverged, collapsed, bad input, out of memory) leaves the others alone.
What ends the process interrupts all of them: Tune starts each again, and it goes on from its
checkpoint in the process that Ray has started in its place.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from studies.cluster.worker import begin_worker

_PACKS = "packs"


class PackLostError(RuntimeError):
    """The process that a trial shares with others has died: its worker is lost, for Tune."""


class Pack:
    """A process of one GPU. It takes its trials from workers of Tune's, one each, on its host.

    A worker that dies takes the pack with it: nobody would ask for its trial any more, which would
    train on and keep its lock.
    """

    def __init__(self, gpu: str) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch is asked for it
        from studies.trial.running import RunningTrial, reset_seeds

        self._gpu, self._running = gpu, RunningTrial
        self._trials: dict[str, tuple[RunningTrial, int, float]] = {}
        self._changes = threading.Lock()
        reset_seeds()
        begin_worker()
        threading.Thread(target=self._end_with_workers, daemon=True).start()

    @ray.method(max_task_retries=-1)  # its worker waits for a process that starts again
    def start(self, task: dict[str, Any], worker: int) -> None:
        """Start a trial for the worker with this process id."""
        self.close(task["trial_id"])
        handle = os.pidfd_open(worker)
        trial = self._running(task, [self._gpu], alone=False)
        with self._changes:
            share = 0.0 if task["device"] == "cpu" else task["gpus"]
            self._trials[task["trial_id"]] = trial, handle, share
            self._cap()

    def report(self, key: str) -> dict[str, Any]:
        """See ``RunningTrial.report``. A trial that raises an error has ended here."""
        if key not in self._trials:
            raise PackLostError(f"trial {key} was in a process that has died")
        from studies.trial.failures import is_device_lost

        try:
            return self._trials[key][0].report()
        except Exception as error:
            if is_device_lost(error):
                os.kill(os.getpid(), signal.SIGKILL)
            said = f"{type(error).__name__}: {error}"
        self.close(key)  # the error, which holds all that the trial had, is gone
        raise RuntimeError(said)

    def close(self, key: str) -> None:
        """Let go of a trial, if it is here."""
        if key in self._trials:
            self._trials[key][0].close()
            with self._changes:
                os.close(self._trials.pop(key)[1])
                self._cap()

    def _cap(self) -> None:
        """Let the process use as much of the GPU's memory as its trials may together."""
        import torch

        shares = sum(share for _, _, share in self._trials.values())
        if shares and torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(min(1.0, shares))

    def _end_with_workers(self) -> None:
        while True:
            time.sleep(1)
            with self._changes:
                if any(_has_ended(handle) for _, handle, _ in self._trials.values()):
                    os.kill(os.getpid(), signal.SIGKILL)


class Packs:
    """The packs of a run, started as they are needed. They end with this process."""

    def __init__(self) -> None:
        self._packs: dict[tuple[str, str], Any] = {}
        self._homes: dict[str, tuple[str, str]] = {}

    def of(self, node: str, gpu: str, share: float, key: str) -> Any:
        """The handle of a GPU's pack, for a trial of this share. Ray starts it again if it dies."""
        self._homes[key] = node, gpu
        if (node, gpu) not in self._packs:
            self._packs[node, gpu] = (
                ray.remote(Pack)
                .options(
                    num_cpus=0,  # its trials' workers have them
                    max_restarts=-1,
                    max_concurrency=2 * round(1 / share) + 2,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                .remote(gpu)
            )
        return self._packs[node, gpu]

    def end(self, key: str) -> None:
        """Kill the pack that a trial was in last, even if it hangs; Ray starts it again."""
        if key in self._homes:
            ray.kill(self._packs[self._homes[key]], no_restart=False)


class PackedTrial:
    """A trial in the pack of its GPU, for the worker that Tune knows."""

    def __init__(self, task: dict[str, Any], gpu: str) -> None:
        self._key = task["trial_id"]
        node = ray.get_runtime_context().get_node_id()
        packs: Any = ray.get_actor(_PACKS)
        self._pack: Any = ray.get(packs.of.remote(node, gpu, task["gpus"], self._key))
        self._ask(self._pack.start.remote(task, os.getpid()))

    def report(self) -> dict[str, Any]:
        """See ``RunningTrial.report``.

        Raises:
            PackLostError: the pack has died.
        """
        told: dict[str, Any] = self._ask(self._pack.report.remote(self._key))
        return told

    def close(self) -> None:
        """Release what the trial holds, unless it went with its pack."""
        with suppress(PackLostError):
            self._ask(self._pack.close.remote(self._key))

    def _ask(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except ray.exceptions.RayActorError as error:  # Tune would take it for this process's end
            reason = str(error).strip().partition("\n")[0]
        raise PackLostError(f"the process that trial {self._key} was in has died ({reason})")


@contextmanager
def packs_for(share: float) -> Iterator[None]:
    """Within, packs can be started for trials that have this share of a GPU, if they share one."""
    if not 0 < share < 1:
        yield
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    lasting = {"max_restarts": -1, "max_task_retries": -1}
    packs: Any = (
        ray.remote(Packs)
        .options(num_cpus=0, name=_PACKS, scheduling_strategy=here, **lasting)
        .remote()
    )
    ray.get(packs.__ray_ready__.remote())
    yield  # Ray ends it, and so the packs, once nobody has its handle


def end_pack_of(key: str) -> None:
    """Kill the process that a trial shares with others, which are interrupted, if it is in one: a
    thread that hangs cannot be ended.
    """
    with suppress(ValueError):  # none can be started in this run
        ray.get(ray.get_actor(_PACKS).end.remote(key))


def _has_ended(process: int) -> bool:
    watch = select.poll()
    watch.register(process, select.POLLIN)
    return bool(watch.poll(0))
