"""What a configuration costs, from some real steps and an evaluation, as it would run."""

import multiprocessing
import queue
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from nsa_core import InputError, TrialConfig
from nsa_core.errors import first_line
from studies.plan.timing import time_copy


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial costs while others like it run beside it.

    Attributes:
        step_s: seconds an optimiser step.
        evaluate_s: seconds an evaluation and embedded image; scores grow a little faster.
        memory_mb: peak of the device; on a CPU of the process, which holds torch too.
        disk_mb: of the weights that a finished trial keeps.
        compile_s: seconds that compiling takes before the first step.
        not_compiled: 1 if it failed, so that steps are as they are without, else 0.
    """

    step_s: float
    evaluate_s: float
    memory_mb: float
    disk_mb: float
    compile_s: float = 0.0
    not_compiled: float = 0.0


def measure(
    config: TrialConfig,
    data_root: str | None,
    device: str,
    cpus: int,
    copies: int,
    packed: bool = False,
) -> Cost:
    """Train ``copies`` of a configuration at once for a few seconds; medians over the copies.

    Each in a process of its own, or all in one if they are ``packed``.

    Raises:
        InputError: a copy could not run, for instance because the device has too little memory.
    """
    context = multiprocessing.get_context("spawn")
    processes, threads = (1, copies) if packed else (copies, 1)
    barrier, answers = context.Barrier(processes), context.Queue()
    arguments = ((config.to_dict(), data_root, device, cpus), threads, barrier, answers)
    workers = [
        context.Process(target=_worker, args=arguments, daemon=True) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        costs = [_answer(answers, workers) for _ in range(copies)]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return Cost(**{name: statistics.median(cost[name] for cost in costs) for name in costs[0]})


def _answer(answers: Any, workers: list[Any]) -> dict[str, float]:
    while True:
        try:
            found: dict[str, float] | str = answers.get(timeout=1.0)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise InputError(
                    "a trial that was measured died (out of memory?); try fewer at once"
                ) from None
            continue
        if isinstance(found, str):
            raise InputError(f"a trial that was measured could not run: {found}")
        return found


def _worker(
    trial: tuple[dict[str, Any], str | None, str, int], threads: int, processes: Any, out: Any
) -> None:
    """A process: one copy that waits for those of other processes, or some for one another."""
    together = processes if threads == 1 else threading.Barrier(threads)
    plain, data_root, where, cpus = trial

    def one() -> None:
        try:
            torch.set_num_threads(cpus)
            found = time_copy(
                TrialConfig.from_dict(plain), data_root, torch.device(where), together
            )
        except threading.BrokenBarrierError:
            return  # another copy has failed, and says why
        except Exception as error:
            out.put(f"{type(error).__name__}: {first_line(error)}")
            together.abort()
            return
        out.put(found | {"memory_mb": found["memory_mb"] / threads})

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(threads):
            pool.submit(one)
