"""Clusters larger than this machine: how busy their GPUs are, by an event simulation.

    python benchmarks/placement_model.py > benchmarks/results/placement_model.md

Slots are those of ``studies.cluster.placement.place``. A slot takes the next trial when its last
one has ended, as soon as the driver has come to it: it hands out one trial every ``--driver``
seconds at most (``scale.py`` measures that). Trials share a GPU evenly: n at once train ``n **
gain`` times as fast together as one alone. Lengths vary by a lognormal factor. ``equal`` puts
trials where Ray packs equal shares. Not modelled: start-up of workers, other users, a host that
fails.
"""

import argparse
import heapq
import itertools
import random
from dataclasses import dataclass

import torch
from hardware import Spread, describe

from studies.cluster.placement import Host, Resources, place
from tracking.text import markdown_table

_SIGMA = 0.3  # of the logarithm of a trial's length
_CORES = 1000  # of a host: not what is short here
_DRIVER = -1


@dataclass(frozen=True)
class Case:
    """A cluster of equal hosts and the study on it; ``seconds`` of a trial alone on its GPU."""

    hosts: int
    gpus: int
    share: float
    trials: int
    seconds: float
    equal: bool = False  # shares as Ray alone would pack them


class Simulation:
    """One study from start to end.

    Attributes:
        now: seconds since the start.
        spent: GPU seconds "busy" (with a trial), idle while trials were "waiting", idle at the
            "end", and "beside": of the latter those beside a GPU that had two trials or more.
    """

    def __init__(self, case: Case, driver_s: float, gain: float, seed: int) -> None:
        draw = random.Random(seed)
        self._left = [case.seconds * draw.lognormvariate(0, _SIGMA) for _ in range(case.trials)]
        hosts = [Host(str(number), _CORES, case.gpus) for number in range(case.hosts)]
        slots = place(Resources(1, case.share), hosts, trials=case.trials).at_once
        gpus = case.hosts * case.gpus
        per_gpu = -(-slots // gpus)
        self._gpu_of = [slot // per_gpu if case.equal else slot % gpus for slot in range(slots)]
        self._free = list(range(slots))  # a heap, as in studies.cluster.slots
        self._gpus = [_Gpu(gain) for _ in range(gpus)]
        self._driver_s, self._events = driver_s, [(0.0, 0, _DRIVER, 0)]
        self._number = itertools.count(1)
        self.now = 0.0
        self.spent = dict.fromkeys(("busy", "waiting", "end", "beside"), 0.0)

    def run(self) -> "Simulation":
        """Run it; events are the driver's turns and the ends of trials."""
        asleep = False
        while self._events:
            at, _, where, version = heapq.heappop(self._events)
            if where != _DRIVER and version != self._gpus[where].version:
                continue  # another trial has started there since
            self._spend(at - self.now)
            self.now = at
            if where != _DRIVER:
                heapq.heappush(self._free, self._gpus[where].end(at))
                self._expect(where)
            elif self._left and self._free:
                slot = heapq.heappop(self._free)
                self._gpus[self._gpu_of[slot]].start(at, slot, self._left.pop())
                self._expect(self._gpu_of[slot])
                self._push(at + self._driver_s, _DRIVER, 0)
            else:
                asleep = True
            if asleep and self._left and self._free:
                asleep = False
                self._push(at + self._driver_s, _DRIVER, 0)
        return self

    def _push(self, at: float, where: int, version: int) -> None:
        heapq.heappush(self._events, (at, next(self._number), where, version))

    def _expect(self, where: int) -> None:
        gpu = self._gpus[where]
        gpu.version += 1
        if gpu.left:
            self._push(gpu.next_end(), where, gpu.version)

    def _spend(self, seconds: float) -> None:
        if seconds == 0:
            return
        idle = sum(not gpu.left for gpu in self._gpus)
        self.spent["busy"] += (len(self._gpus) - idle) * seconds
        self.spent["waiting" if self._left else "end"] += idle * seconds
        if not self._left and idle:
            crowded = sum(len(gpu.left) > 1 for gpu in self._gpus)
            self.spent["beside"] += min(idle, crowded) * seconds


class _Gpu:
    def __init__(self, gain: float) -> None:
        self.left: dict[int, float] = {}  # seconds that a trial would take alone, by slot
        self.version = 0
        self._gain, self._since = gain, 0.0

    def start(self, now: float, slot: int, seconds: float) -> None:
        self._advance(now)
        self.left[slot] = seconds

    def end(self, now: float) -> int:
        """Take the trial away that has ended; its slot."""
        self._advance(now)
        slot = min(self.left, key=self.left.__getitem__)
        del self.left[slot]
        return slot

    def next_end(self) -> float:
        return self._since + min(self.left.values()) / self._rate()

    def _advance(self, now: float) -> None:
        for slot in self.left:
            self.left[slot] -= (now - self._since) * self._rate()
        self._since = now

    def _rate(self) -> float:
        return float(len(self.left) ** (self._gain - 1))


def main() -> None:
    """Simulate clusters and print how busy their GPUs were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", type=float, default=0.02, help="seconds of it a trial")
    parser.add_argument("--gain", type=float, default=0.5, help="n at once are n ** gain as fast")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("# Clusters larger than this machine, simulated\n")
    command = f"--driver {options.driver} --gain {options.gain} --seeds {options.seeds}"
    print(f"Command: `python benchmarks/placement_model.py {command}`; medians over n seeds,")
    print("ranges in brackets. The last four columns are shares of all GPU time, in %.\n")
    head = ["hosts x GPUs", "share", "trials", "length, s", "shares", "n"]
    head += ["wall, s", "busy", "idle while trials wait", "idle at the end", "of it beside two"]
    print(markdown_table(head, [_row(case, options) for case in _cases()]))
    print()
    print(markdown_table(["hardware", ""], [[*p] for p in describe(torch.device("cpu")).items()]))


def _cases() -> list[Case]:
    small = [Case(1, 4, 0.25, trials, 60, equal) for trials in (5, 64) for equal in (True, False)]
    return [
        *small,
        *[Case(8, 8, 0.25, 10_000, seconds) for seconds in (10, 60, 600)],
        *[Case(64, 8, 0.25, 10_000, seconds) for seconds in (10, 60, 600, 3600)],
        Case(64, 8, 1.0, 10_000, 600),
    ]


def _row(case: Case, options: argparse.Namespace) -> list[str]:
    runs = options.seeds * (40 if case.trials < 100 else 1)
    seen = [Simulation(case, options.driver, options.gain, seed).run() for seed in range(runs)]
    gpus = case.hosts * case.gpus

    def percent(name: str) -> str:
        spread = Spread.of([100 * run.spent[name] / (run.now * gpus) for run in seen])
        return f"{spread.median:.1f} [{spread.low:.1f}, {spread.high:.1f}]"

    wall = Spread.of([run.now for run in seen])
    return [
        f"{case.hosts} x {case.gpus}", f"{case.share:g}", str(case.trials), f"{case.seconds:g}",
        "equal" if case.equal else "by wave", str(runs), f"{wall.median:.0f}", percent("busy"),
        percent("waiting"), percent("end"), percent("beside"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
