"""A study from its options to its report: planned, run, mirrored, shown."""

import argparse
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from nsa_core import TrialConfig
from studies.cluster.placement import Placement, Resources
from studies.cluster.progress import Progress
from studies.cluster.queue import Source
from studies.cluster.run import EarlyStop, RunOptions, placement, run
from studies.plan.compilation import settle_compile
from studies.plan.dry_run import dry_run, forecast_of, limit_hours
from studies.plan.hardware import checked, settle_gpu_share
from studies.plan.search import Search
from studies.plan.study import Study
from studies.plan.work import GridWork
from studies.search.work import SearchWork
from studies.trial.failures import UnusableStoreError, checked_store
from tracking import Store, create_store
from tracking.files.place import StorePath
from tracking.mlflow.place import tracking_uri
from tracking.mlflow.thread import MlflowThread
from tracking.report.document import Written, write_report
from tracking.text import without_passwords


class Work(Protocol):
    """The trials of one command: those of a grid, or those that a search will ask for."""

    @property
    def name(self) -> str:
        """Of the study."""
        ...

    @property
    def configs(self) -> Sequence[TrialConfig]:
        """One a trial; of a search, stand-ins of typical cost."""
        ...

    @property
    def absent(self) -> str:
        """Which numbers its data cannot give, and why; empty if all are there."""
        ...

    @property
    def early_stop(self) -> EarlyStop | None:
        """How trials are stopped early; None if they are not."""
        ...

    @property
    def progress(self) -> Progress:
        """Of those that are left, once it has begun."""
        ...

    def begin(self, store: Store) -> Source:
        """Register the trials in the store; returns the source of those left to run."""
        ...

    def finish(self) -> None:
        """After the last trial has ended."""
        ...

    def trial_ids(self, store: Store) -> Iterable[str]:
        """Of all trials, those that ran before included."""
        ...


def conduct(study: Study | Search, options: argparse.Namespace) -> int:
    """Run a study as the options say; returns the exit status, 1 if a trial failed."""
    checked(options)
    work = _work(study, options)
    if work.absent:
        print(
            f"{work.absent}; where {work.name} would compare AUROC, its report shows kappa and "
            "other training signals",
            flush=True,
        )
    share = options.gpus_per_trial
    how, where = _placed(work, options)
    with checked_store(options.store):
        if settle_compile(work.name, work.configs, options, where):
            work, options.gpus_per_trial = _work(study, options), share
            how, where = _placed(work, options)  # of compiled trials another number may be best
    if options.dry_run:
        found = forecast_of(work.configs, options, where)
        dry_run(work.name, work.configs, found, options)
        return 0
    limit_hours(work.configs, options, where)
    with checked_store(options.store):
        return _run(work, options, how, where)


def _work(study: Study | Search, options: argparse.Namespace) -> Work:
    return SearchWork(study, options) if isinstance(study, Search) else GridWork(study, options)


def _placed(work: Work, options: argparse.Namespace) -> tuple[RunOptions, Placement]:
    settle_gpu_share(work.configs, options)
    how = RunOptions(
        resources=Resources(options.cpus_per_trial, options.gpus_per_trial),
        address=options.address,
        concurrency=options.concurrency,
        retries=options.retries,
        stall_s=60 * options.stall_minutes,
        data_root=options.data_root,
        device=options.device,
    )
    return how, placement(how, len(work.configs))


def _run(work: Work, options: argparse.Namespace, how: RunOptions, where: Placement) -> int:
    store = create_store(options.store)
    uri = tracking_uri(store, options.tracking_uri)
    with store.writing(work.name):
        source = work.begin(store)
        left = work.progress.count
        if left and where.note:
            print(where.note)
        mirror = MlflowThread(store, work.name, uri)
        mirror.start()
        started = time.monotonic()
        try:
            if left:
                run(store, source, how, where, work.progress, work.early_stop)
                work.finish()
        except UnusableStoreError:  # nothing more can be written
            mirror.close(timeout_s=5)
            raise
        except BaseException:
            store.compact()
            mirror.close(timeout_s=5)
            raise
        tables = store.compact()
        written = write_report(store, work.name)
        mirrored = mirror.close(timeout_s=120)
    print(f"\n{written.text}")
    _where_to_look(store, written, tables, uri, mirrored)
    if left:
        print(f"{left} trials in {time.monotonic() - started:.0f} s")
    states = Counter(store.trial(key).state()["status"] for key in work.trial_ids(store))
    well = states["finished"] + states["collapsed"] + states["stopped"]
    return 0 if well == states.total() else 1


def _where_to_look(
    store: Store, written: Written, tables: StorePath, uri: str, mirrored: bool
) -> None:
    uri = without_passwords(uri)
    print(f"report   {written.page}")
    print(f"table    {written.table}")
    if written.picture:
        print(f"picture  {written.picture}")
    print(f"Parquet  {tables}/{{trials,dynamics,scores}}.parquet")
    if not mirrored:
        where = f"{shlex.quote(str(store.root))} --tracking-uri {shlex.quote(uri)}"
        print(f"MLflow   not up to date; later: nsa sync {where}")
    elif uri.startswith("sqlite:"):
        print(f"MLflow   mlflow ui --host 127.0.0.1 --backend-store-uri {shlex.quote(uri)}")
    else:
        print(f"MLflow   {uri}")
