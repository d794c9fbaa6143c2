"""MLflow as a view of a store: made from its files, by one writer, and safe to make again.

One experiment a study, a parent run for the study, a child run a trial. A tag holds the trial's
id, metrics carry the time at which they were measured, so syncing twice changes nothing.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from tracking.ledger import ENDED, TrialRecord
from tracking.pictures import score_picture
from tracking.schema import DYNAMICS
from tracking.store import Store

# A dead server must answer at once, not after minutes of retries; and nothing phones home.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType

_TRIAL, _SYNCED_EPOCH, _SYNCED_STATUS = "nsa.trial_id", "nsa.synced_epoch", "nsa.synced_status"
_STATUS = {"running": "RUNNING", "finished": "FINISHED", "collapsed": "FINISHED"}
_NOT_METRICS = {"trial_id", "epoch", "time", "collapsed"}
_BATCH = 900  # MLflow takes at most 1,000 metrics a call


class MlflowMirror:
    """Brings one study of a store into MLflow.

    Args:
        store: where the truth is.
        study: name of the study, and of the experiment.
        tracking_uri: an absolute SQLite URI or a server's address.
    """

    def __init__(self, store: Store, study: str, tracking_uri: str) -> None:
        self.store = store
        self.study = study
        self.client = MlflowClient(tracking_uri)
        self.experiment = self._experiment(tracking_uri)
        self.runs = {
            run.data.tags[_TRIAL]: run for run in self._all_runs() if _TRIAL in run.data.tags
        }

    def sync(self) -> int:
        """Bring every trial up to date; returns how many runs were touched."""
        parent = self.runs.get(self.study) or self._create(self.study, self.study, None)
        touched = 0
        for trial_id in self.store.members(self.study):
            touched += self._sync_trial(self.store.trial(trial_id), parent.info.run_id)
        return touched

    def finish(self) -> None:
        """Sync, then mark the parent run as finished."""
        self.sync()
        self.client.set_terminated(self.runs[self.study].info.run_id, "FINISHED")

    def _sync_trial(self, record: TrialRecord, parent: str) -> bool:
        state = record.state()
        if state["status"] == "pending":
            return False
        run = self.runs.get(record.trial_id)
        tags = run.data.tags if run else {}
        after = int(tags.get(_SYNCED_EPOCH, 0))
        dynamics = [row for row in record.dynamics().to_pylist() if row["epoch"] > after]
        if run and not dynamics and tags.get(_SYNCED_STATUS) == state["status"]:
            return False
        if run is None:
            run = self._create(record.trial_id, _run_name(record.definition()["config"]), parent)
            params = _params(record.definition(), state)
            self.client.log_batch(run.info.run_id, params=params)
        run_id = run.info.run_id
        metrics = _metrics(record, dynamics)
        for start in range(0, len(metrics), _BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        if state["status"] in ENDED:
            self._log_artifacts(record, run_id)
            self.client.set_terminated(run_id, _STATUS.get(state["status"], "FAILED"))
        elif run.info.status != "RUNNING":
            self.client.update_run(run_id, "RUNNING")
        done = dynamics[-1]["epoch"] if dynamics else after
        marks = {
            _SYNCED_EPOCH: str(done),
            _SYNCED_STATUS: state["status"],
            "nsa.status": state["status"],
        }
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in marks.items()])
        self.runs[record.trial_id] = self.client.get_run(run_id)
        return True

    def _log_artifacts(self, record: TrialRecord, run_id: str) -> None:
        for name in ("config.json", "pollution.json"):
            if (record.folder / name).exists():
                self.client.log_artifact(run_id, str(record.folder / name))
        test_scores = record.folder / "test_scores.parquet"
        if test_scores.exists():
            last = record.dynamics()["epoch"].to_pylist()[-1]
            rows = [row for row in record.scores().to_pylist() if row["epoch"] == last]
            table = pq.read_table(test_scores)
            aurocs = {row["scorer"]: row["auroc"] for row in rows if row["layer"] == "embedding"}
            picture = record.folder / "scores.png"
            title = f"{_run_name(record.definition()['config'])}, epoch {last}"
            picture.write_bytes(score_picture(table, aurocs, title))
            self.client.log_artifact(run_id, str(picture))

    def _experiment(self, tracking_uri: str) -> str:
        found = self.client.get_experiment_by_name(self.study)
        if found is not None:
            return str(found.experiment_id)
        local = tracking_uri.startswith("sqlite:")
        place = (self.store.root / "mlflow-artifacts" / self.study).as_uri() if local else None
        return str(self.client.create_experiment(self.study, artifact_location=place))

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment], run_view_type=ViewType.ACTIVE_ONLY, page_token=token
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def _create(self, trial_id: str, name: str, parent: str | None) -> Run:
        tags = {_TRIAL: trial_id, "mlflow.runName": name, "nsa.study": self.study}
        if parent:
            tags["mlflow.parentRunId"] = parent
        run = self.client.create_run(self.experiment, tags=tags)
        self.runs[trial_id] = run
        return run


def _run_name(config: Mapping[str, Any]) -> str:
    return (
        f"{config['method']} {config['norm']} b{config['batch_size']} "
        f"{config['dataset'].rsplit('/', 1)[-1]}:{config['normal_class']} "
        f"p{config['pollution']:g} s{config['seed']}"
    )


def _params(definition: Mapping[str, Any], state: Mapping[str, Any]) -> list[Param]:
    flat: dict[str, Any] = {}
    for key, value in definition["config"].items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    flat |= {key: value for key, value in definition.items() if key != "config"}
    flat |= {key: state[key] for key in ("device", "torch", "version") if key in state}
    return [Param(key, v if isinstance(v, str) else json.dumps(v)) for key, v in flat.items()]


def _metrics(record: TrialRecord, dynamics: list[dict[str, Any]]) -> list[Metric]:
    """Signals as ``signal/loss``, and so on; scores as ``auroc/c-cos``, and so on."""
    at = {row["epoch"]: int(row["time"].timestamp() * 1000) for row in dynamics}
    metrics = [
        Metric(f"signal/{name}", row[name], at[row["epoch"]], row["epoch"])
        for row in dynamics
        for name in DYNAMICS.names
        if name not in _NOT_METRICS and row[name] is not None
    ]
    for row in record.scores().to_pylist():
        if row["epoch"] in at:
            suffix = (
                row["scorer"] if row["layer"] == "embedding" else f"{row['layer']}/{row['scorer']}"
            )
            metrics += [
                Metric(f"{kind}/{suffix}", row[kind], at[row["epoch"]], row["epoch"])
                for kind in ("auroc", "auprc", "fpr95")
            ]
    return metrics
