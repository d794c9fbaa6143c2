"""A real MLflow server to kill, a mute one, and all values of MLflow and of a store, to compare."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from tests.conftest import free_port
from tracking import Store

OWN_TAGS = {"mlflow.user", "mlflow.source.name", "mlflow.source.type"}
SPEED = {"train_seconds", "evaluate_seconds", "images_per_second"}


class Server:
    """The command of docs/mlflow.md, on the same port and database whenever it is started."""

    def __init__(self, folder: Path, database: str = "") -> None:
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        self.command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
            "--allowed-hosts", f"127.0.0.1:{port}", "--workers", "1",
            "--backend-store-uri", database or f"sqlite:///{folder}/server.db",
            "--artifacts-destination", str(folder / "artifacts"),
        ]  # fmt: skip
        self.log = folder / "server.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Returns once it answers."""
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except (OSError, urllib.error.URLError):
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.2)
        raise AssertionError(f"no MLflow server in 120 s: {self.log.read_text()}")

    def kill(self) -> None:
        """With -9, all of its processes; nothing happens if it does not run."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def mute_server():
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def runs_of(uri: str, study: str) -> dict:
    """The study's runs by trial; its own by its name. No trial may have two."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study).experiment_id
    found = client.search_runs([experiment], max_results=1000)
    runs = {run.data.tags["nsa.trial_id"]: run for run in found}
    assert len(runs) == len(found)
    return runs


def values_in_mlflow(uri: str, study: str) -> Counter:
    """(trial, metric, epoch, time in ms, value), and how often it is there."""
    client = MlflowClient(uri)
    return Counter(
        (trial, key, each.step, each.timestamp, each.value)
        for trial, run in runs_of(uri, study).items()
        for key in run.data.metrics
        for each in client.get_metric_history(run.info.run_id, key)
    )


def values_in_store(store: Store) -> Counter:
    """What ``values_in_mlflow`` should be, from the store's tables."""
    found, at = [], {}
    for row in store.dynamics().to_pylist():
        trial, epoch = row.pop("trial_id"), row.pop("epoch")
        at[trial, epoch] = int(row.pop("time").timestamp() * 1000)
        found += [
            (trial, f"{'system' if name in SPEED else 'signal'}/{name}", epoch, at[trial, epoch], v)
            for name, v in row.items()
            if v is not None
        ]
    for row in store.scores().to_pylist():
        trial, epoch, layer, scorer = (row.pop(k) for k in ("trial_id", "epoch", "layer", "scorer"))
        for kind, value in row.items():
            group = kind if kind == "auroc" else f"other/{kind}"
            if layer == "embedding":
                found.append((trial, f"{group}/{scorer}", epoch, at[trial, epoch], value))
            elif kind == "auroc":
                found.append((trial, f"auroc/{layer}/{scorer}", epoch, at[trial, epoch], value))
    for row in {row["trial_id"]: row for row in store.trials().to_pylist()}.values():
        for name in ("peak_memory_mb", "energy_joules"):
            if row[name] is not None:
                ended = int(row["ended_at"].timestamp() * 1000)
                found.append((row["trial_id"], f"system/{name}", 0, ended, row[name]))
    return Counter(found)
