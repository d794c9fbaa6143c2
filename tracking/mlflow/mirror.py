"""Mirror of a store in MLflow: written by one process from the store's files, idempotent.

One experiment a study, a parent run for the study, a child run a trial. Tags hold the trial's id
and how far it has been synced, runs and metrics carry the times of the trial, so syncing twice
changes nothing, and a mirror made anew equals the first.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# A dead server must answer at once, not after minutes of retries, and nothing phones home.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it prints passwords as well

from mlflow.entities import Metric, Run, RunTag, ViewType

from tracking.errors import StoreError
from tracking.files.door import MARKER
from tracking.files.read import read_bytes
from tracking.mlflow.experiment import keep_files, open_experiment
from tracking.mlflow.run import (
    latest,
    metrics,
    milliseconds,
    params,
    run_name,
    tags,
    write_artifacts,
)
from tracking.store import Store
from tracking.tables.checked import checked_definition
from tracking.tables.generation import Signature, signatures
from tracking.trial import ENDED, TrialRecord

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
    """How much of a trial is in MLflow; the status is empty for nothing."""

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

    Raises:
        MlflowException, StoreError: MLflow cannot be used, or the store is not there any more.
    """

    def __init__(self, store: Store, study: str, tracking_uri: str) -> None:
        if isinstance(store.root, Path) and not (store.root / MARKER).exists():
            raise StoreError(f"store {store.root} is not there any more")  # MLflow would make it
        self.store = store
        self.study = study
        self.client, self.experiment, self._database = open_experiment(study, tracking_uri)
        self._runs = dict(map(_mirrored, self._all_runs()))
        self._seen: dict[str, Signature] = {}

    def sync(self, watch: Callable[[int, int], object] = lambda done, total: None) -> int:
        """Bring every trial up to date; returns how many runs were touched.

        ``watch`` is told after each trial how many are done, and of how many.
        """
        touched = 0
        records = [self.store.trial(each) for each in self.store.members(self.study)]
        stamps = signatures([record.folder for record in records])
        for done, (record, stamp) in enumerate(zip(records, stamps, strict=True), start=1):
            if self._seen.get(record.trial_id) != stamp:
                state = record.state()
                touched += self._sync_trial(record, state)
                if state["status"] in ENDED:  # else it can change again within the same second
                    self._seen[record.trial_id] = stamp
            watch(done, len(records))
        return touched

    def finish(self, watch: Callable[[int, int], object] = lambda done, total: None) -> int:
        """Sync, then close the study's own run with its table, picture and report."""
        touched = self.sync(watch)
        run_id = self._parent()
        with TemporaryDirectory() as folder:
            for name in (f"{self.study}.md", f"{self.study}.png", f"report/{self.study}.html"):
                if (path := self.store.root / name).is_file():
                    Path(folder, path.name).write_bytes(read_bytes(path))
            self._keep(run_id, folder)
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
        definition = checked_definition(record, state)
        key = record.trial_id, state["started_at"]
        rows = record.dynamics().to_pylist()
        known = self._runs.get(key)
        if known and latest(rows, known.epoch) != known.time and known.status:
            self.client.delete_run(known.run_id)  # epochs came again: maybe with other numbers
            known = None
        new = [row for row in rows if known is None or row["epoch"] > known.epoch]
        if known and not new and known.status == status:
            return False
        if known is None:
            known = self._create(key, run_name(definition["config"]), self._parent())
        if not known.status:
            self.client.log_batch(known.run_id, params=params(definition))
        self._log(known.run_id, metrics(record, new, state))
        if status in ENDED:
            with TemporaryDirectory() as folder:
                write_artifacts(record, Path(folder))
                self._keep(known.run_id, folder)
            end = milliseconds(state["ended_at"])
            self.client.set_terminated(known.run_id, _ENDS.get(status, "FAILED"), end)
        elif known.status in ENDED:
            self.client.update_run(known.run_id, "RUNNING")
        known.status, known.epoch = status, new[-1]["epoch"] if new else known.epoch
        known.time = latest(rows, known.epoch)
        marks = {_EPOCH: known.epoch, _TIME: known.time, _STATUS: status}
        self._tag(known.run_id, {**tags(definition, state), **marks})  # last: all the rest is there
        return True

    def _log(self, run_id: str, values: list[Metric]) -> None:
        # By key, the last epoch first: MLflow then has to note but one latest value a key.
        values.sort(key=lambda metric: (metric.key, -metric.step))
        for start in range(0, len(values), _BATCH):
            self.client.log_batch(run_id, metrics=values[start : start + _BATCH])

    def _keep(self, run_id: str, files: str) -> None:
        if self._database is None:
            self.client.log_artifacts(run_id, files)
        else:
            keep_files(self._database, self.study, run_id, Path(files))

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

    def _all_runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        wanted = [self.experiment], f"tags.`{_TRIAL}` != ''", ViewType.ACTIVE_ONLY
        while True:
            page = self.client.search_runs(*wanted, max_results=_PAGE, page_token=token)
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
