"""How long MLflow takes to show a store of 640 trials, and whether it then holds every value.

    python benchmarks/mlflow_sync.py

The peer is MLflow alone: as many values by ``log_batch``, in the same run.
"""

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import mlflow
import numpy as np
import torch
from generated_store import generate
from hardware import Spread, describe, markdown_table, number, number_with_range

from tracking import Store, open_store
from tracking.schema import DYNAMICS

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "benchmarks" / "results" / "mlflow_sync.md"
LIMIT_S = 300
SPEED = ("train_seconds", "evaluate_seconds", "images_per_second")
_KINDS = ("auroc", "other/auprc", "other/fpr95", "signal", "system")
_BATCH = 1000


def sync(store: Path, database: Path) -> tuple[float, float]:
    """Wall-clock and processor seconds of the command, start and imports included."""
    command = [sys.executable, "-m", "tracking.mlflow_sync", str(store)]
    command += ["--tracking-uri", f"sqlite:///{database}"]
    before, started = _children_seconds(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started, _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bare(database: Path, values: int) -> float:
    """Processor seconds of MLflow alone for this many values: one run, keys in order."""
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    run = client.create_run(client.create_experiment("bare")).info.run_id
    batches = [
        [mlflow.entities.Metric(f"{at + key}", 0.5, 0, e) for key in range(25) for e in range(40)]
        for at in range(0, values // 40, 25)
    ]
    started = time.process_time()
    for batch in batches:
        client.log_batch(run, metrics=batch)
    return (time.process_time() - started) * values / (len(batches) * _BATCH)


def in_store(store: Store) -> dict[str, np.ndarray]:
    """The values that MLflow should hold, sorted, by the first part of a metric's name."""
    dynamics, scores, trials = store.dynamics(), store.scores(), store.trials()
    embedding = scores.filter(np.asarray(scores["layer"]) == "embedding")
    signals = set(DYNAMICS.names) - {"trial_id", "epoch", "time", *SPEED}
    columns = {
        "auroc": [scores["auroc"]],
        "other/auprc": [embedding["auprc"]],
        "other/fpr95": [embedding["fpr95"]],
        "signal": [dynamics[name] for name in signals],
        "system": [
            *(dynamics[name] for name in SPEED),
            trials["peak_memory_mb"],
            trials["energy_joules"],
        ],
    }
    return {
        kind: np.sort(np.concatenate([c.drop_null().to_numpy().astype(float) for c in found]))
        for kind, found in columns.items()
    }


def in_mlflow(database: Path) -> dict[str, np.ndarray]:
    """The same, as MLflow's own table has it."""
    with sqlite3.connect(database) as connection:
        return {
            kind: np.array(
                connection.execute(
                    "select value from metrics where key like ? order by value", (f"{kind}/%",)
                ).fetchall()
            ).ravel()
            for kind in _KINDS
        }


def compared(store: Store, database: Path) -> list[list[str]]:
    """A row a kind of metric: values in the store, in MLflow, and whether all are equal."""
    wanted, found = in_store(store), in_mlflow(database)
    return [
        [f"`{kind}/`", f"{len(wanted[kind]):,}", f"{len(found[kind]):,}",
         "yes" if np.array_equal(wanted[kind], found[kind]) else "NO"]
        for kind in _KINDS
    ]  # fmt: skip


def measure(store: Store, scratch: Path, rounds: int) -> str:
    """Sync into new databases, then once more into the last; returns the report's tables."""
    times: list[tuple[float, float]] = []
    for index in range(rounds):
        database = scratch / f"{index}.db"
        times.append(sync(store.root, database))
        print(f"round {index + 1} of {rounds}: {times[-1][0]:.0f} s", flush=True)
    again, _ = sync(store.root, database)
    counts = compared(store, database)
    values = sum(len(each) for each in in_mlflow(database).values())
    sample = min(values, 100 * _BATCH)
    alone = Spread.of([bare(scratch / f"bare{i}.db", sample) for i in range(rounds)])
    rate = Spread(sample / alone.median, sample / alone.high, sample / alone.low, alone.n)
    wall, busy = (Spread.of(column) for column in zip(*times, strict=True))
    with sqlite3.connect(database) as connection:
        (runs,) = connection.execute("select count(*) from runs").fetchone()
    rows = [
        ["the command, s", number_with_range(wall), str(rounds)],
        ["processor time of it, s", number_with_range(busy), str(rounds)],
        ["values a second of processor time", number(values / busy.median), str(rounds)],
        [
            "MLflow alone, values a second of it",
            number_with_range(rate),
            str(rounds),
        ],
        ["the command once more, nothing new, s", number(again), "1"],
    ]
    verdict = "yes" if wall.median < LIMIT_S else "NO"
    return "\n\n".join(
        [
            markdown_table(["", "median (range)", "n"], rows),
            f"Below {LIMIT_S} s: {verdict}. {runs:,} runs, "
            f"{database.stat().st_size / 2**20:,.0f} MiB of SQLite.",
            markdown_table(["metrics", "values in the store", "in MLflow", "all equal"], counts),
            "AUPRC and FPR95 are those of the embedding, see docs/mlflow.md.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate, measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sizes = {"trials": 640, "epochs": 30, "layers": 5, "scorers": 8}
    for name, default in (*sizes.items(), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--store", help="one that generated_store.py made; else one is made")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args(arguments)
    machine = describe(torch.device("cpu"))
    with tempfile.TemporaryDirectory(prefix="mlflow-sync-") as scratch:
        size = {name: getattr(options, name) for name in sizes}
        store = open_store(options.store or generate(Path(scratch) / "store", **size).root)
        found = measure(store, Path(scratch), options.rounds)
        shape = store.sql("select count(distinct trial_id) as trials, count(*) as rows from scores")
    load = f"{os.getloadavg()[0]:.1f}"
    text = "\n\n".join(
        [
            "# MLflow from a whole store",
            "Made by `python benchmarks/mlflow_sync.py`: `python -m tracking.mlflow_sync` into a "
            "new SQLite database, every value then compared in that database.",
            markdown_table(
                ["", "this machine"],
                [*map(list, machine.items()), ["load after", load], ["", mlflow_version()]],
            ),
            "{trials} trials that began, {rows:,} rows of scores.".format(**shape.to_pylist()[0]),
            found,
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


def mlflow_version() -> str:
    """Of the package that was measured."""
    return f"mlflow {mlflow.__version__}"


if __name__ == "__main__":
    sys.exit(main())
