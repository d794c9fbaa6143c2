"""MLflow as a view of a store: made from its files, by one writer, and safe to make again.

One experiment a study, a parent run for the study, a child run a trial. Tags hold the trial's id
and how far it has been synced, runs and metrics carry the times of the trial, so syncing twice
changes nothing, and a mirror made anew equals the first.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# A dead server must answer at once, not after minutes of retries, and nothing phones home.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it prints passwords as well

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag, ViewType

from tracking.generation import Signature, signatures
from tracking.ledger import ENDED, TrialRecord
from tracking.mlflow_run import metrics, milliseconds, params, run_name, tags, write_artifacts
from tracking.storage import ObjectPath
from tracking.store import Store

# What MLflow logs of its database with a traceback it also raises, and then it is said in words.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

_TRIAL, _STARTED = "nsa.trial_id", "nsa.started_at"
_EPOCH, _TIME, _STATUS = "nsa.synced_epoch", "nsa.synced_time", "nsa.synced_status"
_ENDS = {"finished": "FINISHED", "collapsed": "FINISHED", "stopped": "FINISHED"}
_BATCH = 1000  # MLflow takes no more metrics a call
_PAGE = 100  # runs a call, each with its metrics: a server must answer in time

Key = tuple[str, str]
"""What a run is of: the trial, and when it began; another store may have the trial as well."""


@dataclass
class _Mirrored:
    """How far a trial has been brought into MLflow; the status is empty if not at all."""

    run_id: str
    status: str = ""
    epoch: int = 0
    time: int = 0  # the latest of the rows up to that epoch, in milliseconds


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
        self._runs = dict(map(_mirrored, self._all_runs()))
        self._seen: dict[str, Signature] = {}

    def sync(self) -> int:
        """Bring every trial up to date; returns how many runs were touched."""
        touched = 0
        records = [self.store.trial(each) for each in self.store.members(self.study)]
        stamps = signatures([record.folder for record in records])
        for record, stamp in zip(records, stamps, strict=True):
            if self._seen.get(record.trial_id) != stamp:
                state = record.state()
                touched += self._sync_trial(record, state)
                if state["status"] in ENDED:  # else it can change again within the same second
                    self._seen[record.trial_id] = stamp
        return touched

    def finish(self) -> int:
        """Sync, then close the study's own run with its table, picture and report."""
        touched = self.sync()
        run_id = self._parent()
        with TemporaryDirectory() as folder:
            for name in (f"{self.study}.md", f"{self.study}.png", f"report/{self.study}.html"):
                if (path := self.store.root / name).is_file():
                    Path(folder, path.name).write_bytes(path.read_bytes())
            self.client.log_artifacts(run_id, folder)
        self.client.set_terminated(run_id, "FINISHED")
        return touched

    def run_of(self, record: TrialRecord) -> str | None:
        """Id of the trial's run; None before its first sync."""
        known = self._runs.get((record.trial_id, record.state().get("started_at", "")))
        return known.run_id if known else None

    def _sync_trial(self, record: TrialRecord, state: dict[str, Any]) -> bool:
        status = state["status"]
        if status == "pending":
            return False
        key = record.trial_id, state["started_at"]
        rows = record.dynamics().to_pylist()
        known = self._runs.get(key)
        if known and _latest(rows, known.epoch) != known.time and known.status:
            self.client.delete_run(known.run_id)  # epochs came again: maybe with other numbers
            known = None
        new = [row for row in rows if known is None or row["epoch"] > known.epoch]
        if known and not new and known.status == status:
            return False
        definition = record.definition()
        if known is None:
            known = self._create(key, run_name(definition["config"]), self._parent())
        if not known.status:
            self.client.log_batch(known.run_id, params=params(definition))
        self._log(known.run_id, metrics(record, new, state))
        if status in ENDED:
            with TemporaryDirectory() as folder:
                write_artifacts(record, Path(folder))
                self.client.log_artifacts(known.run_id, folder)
            end = milliseconds(state["ended_at"])
            self.client.set_terminated(known.run_id, _ENDS.get(status, "FAILED"), end)
        elif known.status in ENDED:
            self.client.update_run(known.run_id, "RUNNING")
        known.status, known.epoch = status, new[-1]["epoch"] if new else known.epoch
        known.time = _latest(rows, known.epoch)
        marks = {_EPOCH: known.epoch, _TIME: known.time, _STATUS: status}
        self._tag(known.run_id, {**tags(definition, state), **marks})  # last: all the rest is there
        return True

    def _log(self, run_id: str, values: list[Metric]) -> None:
        # By key, the last epoch first: MLflow then has to note but one latest value a key.
        values.sort(key=lambda metric: (metric.key, -metric.step))
        for start in range(0, len(values), _BATCH):
            self.client.log_batch(run_id, metrics=values[start : start + _BATCH])

    def _tag(self, run_id: str, marks: dict[str, Any]) -> None:
        self.client.log_batch(run_id, tags=[RunTag(name, str(v)) for name, v in marks.items()])

    def _parent(self) -> str:
        known = self._runs.get((self.study, ""))
        return (known or self._create((self.study, ""), self.study)).run_id

    def _create(self, key: Key, name: str, parent: str | None = None) -> _Mirrored:
        marks = {_TRIAL: key[0], _STARTED: key[1], "nsa.study": self.study, "mlflow.runName": name}
        if parent:
            marks["mlflow.parentRunId"] = parent
        start = milliseconds(key[1]) if key[1] else None
        run = self.client.create_run(self.experiment, start, tags=marks)
        self._runs[key] = _Mirrored(run.info.run_id)
        return self._runs[key]

    def _experiment(self, tracking_uri: str) -> str:
        found = self.client.get_experiment_by_name(self.study)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        place = None  # a server has its own
        if tracking_uri.startswith("sqlite:"):
            root = self.store.root
            beside = Path(tracking_uri.removeprefix("sqlite:///")).parent
            folder = beside if isinstance(root, ObjectPath) else root
            place = (folder / "mlflow-artifacts" / self.study).absolute().as_uri()
        return str(self.client.create_experiment(self.study, artifact_location=place))

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment],
                f"tags.`{_TRIAL}` != ''",
                ViewType.ACTIVE_ONLY,
                max_results=_PAGE,
                page_token=token,
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs


def _mirrored(run: Run) -> tuple[Key, _Mirrored]:
    marks = run.data.tags
    return (marks[_TRIAL], marks.get(_STARTED, "")), _Mirrored(
        run.info.run_id,
        marks.get(_STATUS, ""),
        int(marks.get(_EPOCH, 0)),
        int(marks.get(_TIME, 0)),
    )


def _latest(rows: list[dict[str, Any]], epoch: int) -> int:
    return max((milliseconds(row["time"]) for row in rows if row["epoch"] <= epoch), default=0)
