"""What a study adds to its trials: 640 of one step through runner, ledger and MLflow mirror.

    python benchmarks/study_overhead.py > benchmarks/results/study_overhead.md

The whole grid of ``full_ablation`` on the digits, real code path. Overhead is wall time times the
trials at once, less what the trials themselves spent training and evaluating, a trial. The driver's
memory is sampled from outside, beside how many trials have ended. Peer: the same trials one after
another in one process, without Ray, ledger or MLflow.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import torch
from hardware import describe
from mlflow import MlflowClient

from nsa_core import TrialConfig, load_images, one_class_split, train
from studies.full_ablation import STUDY
from studies.plan.grid import build_grid
from tracking import open_store
from tracking.mlflow.place import tracking_uri
from tracking.text import markdown_table

ROOT = Path(__file__).parents[1]
TOY = ["--preset", "quick", "--steps", "1", "--set", "evaluations=1", "--set", "width=8"]
TOY += ["--set", "method_options=" + json.dumps({"projector_dim": 32, "predictor_dim": 32})]


def main() -> None:
    """Run the study, then the bare peer, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", default="0,1,2,3,4,5,6,7,8,9", help="64 trials each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        wall, memory = _study(store, options.classes)
        rows = _rows(store, wall, memory)
    print("# What a study adds to its trials\n")
    print(f"Command: `python benchmarks/study_overhead.py --classes {options.classes}`.\n")
    print(markdown_table(["quantity", "seen"], rows))
    print()
    print(
        markdown_table(
            ["hardware", ""], [[*pair] for pair in describe(torch.device("cpu")).items()]
        )
    )


def _study(store: Path, classes: str) -> tuple[float, list[tuple[int, float]]]:
    """Seconds the command took, and the driver's resident MB by number of trials ended."""
    command = [sys.executable, str(ROOT / "studies" / "full_ablation.py"), *TOY]
    command += ["--classes", classes, "--store", str(store)]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as driver:
        samples: list[tuple[int, float]] = []
        watcher = threading.Thread(target=_watch, args=(driver.pid, store, samples), daemon=True)
        watcher.start()
        if driver.wait():
            raise SystemExit("the study failed")
    return time.monotonic() - started, samples


def _watch(pid: int, store: Path, samples: list[tuple[int, float]]) -> None:
    while True:
        time.sleep(2)
        try:
            ended = sum(1 for _ in store.glob("trials/*/test_scores.parquet"))
            samples.append((ended, psutil.Process(pid).memory_info().rss / 2**20))
        except psutil.NoSuchProcess:
            return


def _rows(path: Path, wall: float, memory: list[tuple[int, float]]) -> list[list[str]]:
    store = open_store(path)
    trials, dynamics = store.trials(), store.dynamics()
    finished = trials["status"].to_pylist().count("finished")
    own = sum(trials["seconds"].to_pylist())
    at_once = psutil.cpu_count()
    client = MlflowClient(tracking_uri(store))
    experiment = client.get_experiment_by_name("full_ablation")
    runs, token = 0, None
    while True:
        page = client.search_runs([experiment.experiment_id], page_token=token)
        runs += sum(run.info.status == "FINISHED" for run in page)
        if not (token := page.token):
            break
    at_64 = next((mb for ended, mb in memory if ended >= 64), memory[-1][1])
    count = trials.num_rows
    bare = _bare(20)
    return [
        ["trials planned", str(count)],
        ["trials finished, in Parquet", str(finished)],
        ["runs finished in MLflow, the study's own included", str(runs)],
        ["evaluations in Parquet", str(dynamics.num_rows)],
        ["wall time of the command, s", f"{wall:.1f}"],
        ["trials at once", str(at_once)],
        ["own time of the trials, s", f"{own:.1f}"],
        ["wall time a trial, s", f"{wall / count:.3f}"],
        ["overhead a trial, wall, s", f"{(wall - own / at_once) / count:.3f}"],
        ["the same trial bare, in one process, median of 20, s", f"{bare:.3f}"],
        ["driver memory after 64 trials, MB", f"{at_64:.0f}"],
        [
            "driver memory, largest after that, MB",
            f"{max(mb for e, mb in memory if e >= 64 or e == memory[-1][0]):.0f}",
        ],
        ["driver memory at the end, MB", f"{memory[-1][1]:.0f}"],
    ]


def _bare(count: int) -> float:
    """Median seconds of the same trials without Ray, ledger or MLflow."""
    overrides = {"budget": 1, "budget_unit": "steps", "evaluations": 1, "width": 8}
    overrides["method_options"] = {"projector_dim": 32, "predictor_dim": 32}
    configs = build_grid(STUDY, "quick", classes=["0"], overrides=overrides).configs[:count]
    sets = load_images("digits", "train"), load_images("digits", "test")
    seconds = []
    for config in configs:
        started = time.perf_counter()
        _train(config, sets)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[len(seconds) // 2]


def _train(config: TrialConfig, sets: tuple) -> None:
    split = one_class_split(*sets, config.normal_class, config.pollution, config.seed)
    for _ in train(config, split):
        pass


if __name__ == "__main__":
    main()
