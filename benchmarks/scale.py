"""What a study of thousands of trials costs its driver: time and memory a trial as it grows.

    python benchmarks/scale.py > benchmarks/results/scale.md

Trials are planned, handed out, recorded and compacted by the code that studies use. Only the
worker is another: it writes what a trial of one evaluation writes, and trains nothing. Every size
runs in a process of its own, with ``--at-once`` workers on cores that Ray is told of; the driver's
own processor time and memory are read every time another tenth of the trials has ended.
"""

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import ray
import torch
from hardware import Spread, describe

from studies.batchsize_ablation import STUDY
from studies.cluster import run as cluster
from studies.cluster.actor import TrialActor
from studies.cluster.placement import Placement, Resources
from studies.cluster.progress import Progress
from studies.cluster.queue import Listed
from studies.plan.grid import build_grid
from studies.trial.register import register
from tracking import create_store, open_store
from tracking.text import markdown_table

_CELLS = 8  # of the study's quick preset, for one class and seed


class Untrained(TrialActor):
    """Records a trial of one evaluation, without training it."""

    def setup(self, config: dict[str, Any]) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def step(self) -> dict[str, Any]:
        time.sleep(float(os.environ["SCALE_SECONDS"]))
        record = open_store(self.config["store"]).trial(self.config["trial_id"])
        with record.claim():
            record.begin({"host": "none"})
            scores = [{"layer": "embedding", "scorer": "c-cos", "auroc": 0.5}]
            record.add({"epoch": 1}, scores)
            record.end("finished")
        told = {"progress": 1.0, "epoch": 1, "speed": 0.0, "compiling": False}
        return {"done": True, **told}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


class _Measured(Progress):
    """Reads the driver's clock, processor time and memory at every tenth of the trials."""

    def __init__(self, count: int) -> None:
        super().__init__(count, count, lambda key: 1.0)
        self._every = max(1, count // 10)
        self.seen = [_now(0)]

    def end(self, trial_id: str) -> None:
        super().end(trial_id)
        if len(self._ended) % self._every == 0:
            self.seen.append(_now(len(self._ended)))


def _now(ended: int) -> dict[str, float]:
    process = psutil.Process()
    times = process.cpu_times()
    return {
        "ended": ended,
        "wall": time.monotonic(),
        "cpu": times.user + times.system,
        "mb": process.memory_info().rss / 2**20,
    }


def main() -> None:
    """Run every size, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="1000,3000,10000", help="sizes of study")
    parser.add_argument("--at-once", default="2", help="trials at once, several with commas")
    parser.add_argument("--seconds", type=float, default=0.0, help="that a trial lasts")
    parser.add_argument("--drive", help=argparse.SUPPRESS)  # the process of one size
    options = parser.parse_args()
    if options.drive:
        print(json.dumps(_drive(options)))
        return
    sizes = [int(each) for each in options.trials.split(",")]
    runs = [
        _run(n, int(each), options.seconds) for each in options.at_once.split(",") for n in sizes
    ]
    print("# What thousands of trials cost the driver\n")
    command = f"--trials {options.trials} --at-once {options.at_once}"
    command += f" --seconds {options.seconds:g}"
    print(f"Command: `python benchmarks/scale.py {command}`; n = 1 run a column.\n")
    print(markdown_table(["quantity", *[f"{run['trials']:,} trials" for run in runs]], _rows(runs)))
    print("\nAt every event Ray Tune waits on one result of each trial that runs, in random order.")
    print("That wait alone, median of n = 50 [range]:\n")
    print(markdown_table(["trials that run", "ms"], _waits()))
    print()
    facts = describe(torch.device("cpu")) | {"Ray": ray.__version__}
    print(markdown_table(["hardware", ""], [[*pair] for pair in facts.items()]))


def _run(trials: int, at_once: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--drive", f"{folder}/store"]
        command += ["--trials", str(trials), "--at-once", str(at_once)]
        command += ["--seconds", str(seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return run


def _drive(options: argparse.Namespace) -> dict[str, Any]:
    path, trials, at_once = Path(options.drive), int(options.trials), int(options.at_once)
    grid = build_grid(STUDY, "quick", classes=["0"], seeds=-(-trials // _CELLS))
    store = create_store(path)
    started = time.monotonic()
    ids = [register(store, config, grid.data) for config in grid.configs][:trials]
    store.plan(STUDY.name, ids, STUDY.layout.about())
    planned = time.monotonic()
    os.environ["SCALE_SECONDS"] = str(options.seconds)  # the workers see it
    ray.init(
        address="local",
        num_cpus=at_once,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    cluster.TrialActor = Untrained  # type: ignore[misc]
    how = cluster.RunOptions(Resources())
    where = Placement(how.resources, (0.0,) * at_once)
    progress = _Measured(trials)
    cluster.run(store, Listed(ids), how, where, progress)
    ended = time.monotonic()
    store.compact()
    compacted = time.monotonic()
    finished = open_store(path).trials()["status"].to_pylist().count("finished")
    asked = time.monotonic()
    return {
        "trials": trials,
        "finished": finished,
        "at_once": at_once,
        "plan": planned - started,
        "run": ended - planned,
        "compact": compacted - ended,
        "read": asked - compacted,
        "seen": progress.seen,
    }


def _rows(runs: list[dict[str, Any]]) -> list[list[str]]:
    def row(name: str, form: str, value: Any) -> list[str]:
        return [name, *[format(value(run), form) for run in runs]]

    return [
        row("trials at once", "d", lambda run: run["at_once"]),
        row("trials finished, in Parquet", "d", lambda run: run["finished"]),
        row("planning: every configuration written, s", ".1f", lambda run: run["plan"]),
        row("running them, s", ".1f", lambda run: run["run"]),
        row("wall time a trial, first tenth left out, ms", ".0f", lambda r: _per(r, "wall", 1)),
        row(
            "driver's processor time a trial, 2nd tenth, ms", ".1f", lambda r: _per(r, "cpu", 1, 2)
        ),
        row("the same, last tenth, ms", ".1f", lambda run: _per(run, "cpu", -2)),
        row("driver memory after a tenth, MB", ".0f", lambda run: run["seen"][1]["mb"]),
        row("driver memory at the end, MB", ".0f", lambda run: run["seen"][-1]["mb"]),
        row("driver memory a trial, kB", ".0f", lambda run: 1.024 * _per(run, "mb", 1)),
        row("compaction, s", ".1f", lambda run: run["compact"]),
        row("reading all trials after it, s", ".2f", lambda run: run["read"]),
    ]


def _waits() -> list[list[str]]:
    """Milliseconds to find the one result that is there among those of as many trials."""
    ray.init(
        address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR,
    )  # fmt: skip
    never = ray.remote(resources={"absent": 1})(lambda: None)
    rows = []
    for count in (16, 128, 512, 2048):
        results = [never.remote() for _ in range(count - 1)] + [ray.put(None)]
        seconds = []
        for _ in range(50):
            started = time.perf_counter()
            random.shuffle(results)
            ray.wait(results, num_returns=1, timeout=1)
            seconds.append(time.perf_counter() - started)
        spread = Spread.of(seconds).scaled(1000)
        rows.append([f"{count:,}", f"{spread.median:.2f} [{spread.low:.2f}, {spread.high:.2f}]"])
    ray.shutdown()
    return rows


def _per(run: dict[str, Any], what: str, start: int, stop: int = -1) -> float:
    """Thousandths of a unit of ``what`` a trial, between two readings."""
    first, last = run["seen"][start], run["seen"][stop]
    trials: float = last["ended"] - first["ended"]
    return 1000 * (last[what] - first[what]) / trials


if __name__ == "__main__":
    main()
