"""MLflow as a view of a store: made from its files, by one writer, and safe to make again.

One experiment a study, a parent run for the study, a child run a trial. A tag holds the trial's
id, metrics carry the time at which they were measured, so syncing twice changes nothing.
"""

import os
from dataclasses import dataclass

# A dead server must answer at once, not after minutes of retries; and nothing phones home.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag, ViewType

from tracking.ledger import ENDED, TrialRecord
from tracking.mlflow_run import artifacts, metrics, params, run_name, tags
from tracking.store import Store

_TRIAL, _SYNCED_EPOCH, _SYNCED_STATUS = "nsa.trial_id", "nsa.synced_epoch", "nsa.synced_status"
_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "collapsed": "FINISHED",
    "stopped": "FINISHED",
}
_BATCH = 900  # MLflow takes at most 1,000 metrics a call


@dataclass
class _Mirrored:
    """How far a trial has been brought into MLflow: the run, the last epoch, the status."""

    run_id: str
    epoch: int
    status: str


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
        self._runs = {
            run.data.tags[_TRIAL]: _Mirrored(
                run.info.run_id,
                int(run.data.tags.get(_SYNCED_EPOCH, 0)),
                run.data.tags.get(_SYNCED_STATUS, ""),
            )
            for run in self._all_runs()
            if _TRIAL in run.data.tags
        }
        self._seen: dict[str, tuple[int, int]] = {}

    def sync(self) -> int:
        """Bring every trial up to date; returns how many runs were touched."""
        parent = self._runs.get(self.study) or self._create(self.study, self.study, {})
        touched = 0
        for trial_id in self.store.members(self.study):
            record = self.store.trial(trial_id)
            stamp = _stamp(record)
            if self._seen.get(trial_id) != stamp:
                touched += self._sync_trial(record, parent.run_id)
                self._seen[trial_id] = stamp
        return touched

    def finish(self) -> int:
        """Sync, then close the study's own run with its table, picture and report."""
        touched = self.sync()
        run_id = self._runs[self.study].run_id
        for name in (f"{self.study}.md", f"{self.study}.png", f"report/{self.study}.html"):
            if (self.store.root / name).is_file():
                self.client.log_artifact(run_id, str(self.store.root / name))
        self.client.set_terminated(run_id, "FINISHED")
        return touched

    def _sync_trial(self, record: TrialRecord, parent: str) -> bool:
        state = record.state()
        status = state["status"]
        if status == "pending":
            return False
        known = self._runs.get(record.trial_id)
        after = known.epoch if known else 0
        dynamics = [row for row in record.dynamics().to_pylist() if row["epoch"] > after]
        if known and not dynamics and known.status == status:
            return False
        definition = record.definition()
        if known is None:
            marks = {"mlflow.parentRunId": parent, **tags(definition)}
            known = self._create(record.trial_id, run_name(definition["config"]), marks)
            self.client.log_batch(known.run_id, params=params(definition, state))
        values = metrics(record, dynamics, state)
        for start in range(0, len(values), _BATCH):
            self.client.log_batch(known.run_id, metrics=values[start : start + _BATCH])
        if status in ENDED:
            for path in artifacts(record):
                self.client.log_artifact(known.run_id, str(path))
            self.client.set_terminated(known.run_id, _STATUS.get(status, "FAILED"))
        elif known.status in ENDED:
            self.client.update_run(known.run_id, "RUNNING")
        known.epoch, known.status = dynamics[-1]["epoch"] if dynamics else after, status
        done = {_SYNCED_EPOCH: str(known.epoch), _SYNCED_STATUS: status, "nsa.status": status}
        self.client.log_batch(known.run_id, tags=[RunTag(*pair) for pair in done.items()])
        return True

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
                [self.experiment],
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def _create(self, trial_id: str, name: str, more: dict[str, str]) -> _Mirrored:
        marks = {_TRIAL: trial_id, "mlflow.runName": name, "nsa.study": self.study, **more}
        run = self.client.create_run(self.experiment, tags=marks)
        self._runs[trial_id] = _Mirrored(run.info.run_id, 0, "")
        return self._runs[trial_id]


def _stamp(record: TrialRecord) -> tuple[int, int]:
    """Changes when the trial's record does."""
    paths = (record.folder / "status.json", record.folder / "dynamics.parquet")
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)  # type: ignore[return-value]
