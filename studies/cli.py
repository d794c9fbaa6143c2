"""The command of a study: from options to a table."""

import argparse
import atexit
import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from nsa_core import InputError, TrialConfig
from studies import planning
from studies.disk import checked_space
from studies.grid_work import GridWork
from studies.options import checked, parser
from studies.ray_session import hear_no_signal, stop_on_sigterm
from studies.resources import Placement, Resources
from studies.results import Results, load_results
from studies.runner import RunOptions, placement
from studies.search import Search
from studies.search_work import SearchWork, add_search_options
from studies.study import Report, Study
from studies.watcher import RayLostError
from tracking import Store, StoreError, create_store
from tracking.atomic import write_bytes
from tracking.mlflow_thread import MlflowThread
from tracking.passwords import without_passwords
from tracking.plain_text import plain
from tracking.report import write_report
from tracking.report.markdown import escaped
from tracking.storage import StorePath
from tracking.store import default_tracking_uri


class Work(Protocol):
    """The trials of one command: those of a grid, or those that a search will ask for.

    Attributes:
        name, title, report: of the study.
        configs: one a trial; of a search, stand-ins of typical cost.
    """

    name: str
    title: str
    report: Report
    configs: Sequence[TrialConfig]

    def begin(self, store: Store) -> int:
        """Write what is known of the trials, say what was done before; how many are left."""
        ...

    def run(self, store: Store, how: RunOptions, placement: Placement) -> None:
        """Run those that are left to their end."""
        ...

    def trials(self, store: Store) -> Mapping[str, TrialConfig]:
        """All trials by id, those that ran before included."""
        ...


def main(study: Study | Search, arguments: Sequence[str] | None = None) -> int:
    """Run a study from the command line; returns the exit status.

    0: all trials have ended well; 1: some failed or were not run; 2: bad input; 130: interrupted.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("nsa_core").setLevel(logging.INFO)
    made = parser(study.name, study.title, study.presets)
    if isinstance(study, Search):
        add_search_options(made)
    options = made.parse_args(arguments)
    stop_on_sigterm()
    try:
        status = _command(study, options)
    except (InputError, StoreError, RayLostError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        status = 130
    atexit.register(hear_no_signal)  # all is said; with Ray and torch Python takes a while to end
    return status


def _command(study: Study | Search, options: argparse.Namespace) -> int:
    checked(options)
    work: Work = (
        SearchWork(study, options) if isinstance(study, Search) else GridWork(study, options)
    )
    planning.settle_gpu_share(work.configs, options)
    how = RunOptions(
        resources=Resources(options.cpus_per_trial, options.gpus_per_trial),
        address=options.address,
        concurrency=options.concurrency,
        retries=options.retries,
        data_root=options.data_root,
        device=options.device,
    )
    where = placement(how, len(work.configs))
    if options.dry_run:
        found = planning.forecast_of(work.configs, options, where.at_once)
        planning.dry_run(work.name, work.configs, found)
        return 0
    planning.limit_hours(work.configs, options, where.at_once)
    with checked_space(options.store):
        return _run(work, options, how, where)


def _run(work: Work, options: argparse.Namespace, how: RunOptions, where: Placement) -> int:
    store = create_store(options.store)
    tracking_uri = options.tracking_uri or default_tracking_uri(store)
    with store.writing(work.name):
        left = work.begin(store)
        if left and where.note:
            print(where.note)
        mirror = MlflowThread(store, work.name, tracking_uri)
        mirror.start()
        started = time.monotonic()
        through = False
        try:
            if left:
                work.run(store, how, where)
            through = True
        finally:
            summary = store.write_summary()
            if not through:
                mirror.close(timeout_s=5)
        trials = work.trials(store)
        text = _write_tables(work, store, load_results(store, trials))
        page, _ = write_report(store, work.name, store.root / "report")
        mirrored = mirror.close(timeout_s=120)
    states = Counter(store.trial(key).state()["status"] for key in trials)
    print(f"\n{text}")
    print(f"report   {page}")
    _where_to_look(store, work.name, summary, tracking_uri, mirrored)
    if left:
        print(f"{left} trials in {time.monotonic() - started:.0f} s")
    well = states["finished"] + states["collapsed"] + states["stopped"]
    return 0 if well == len(trials) else 1


def _write_tables(work: Work, store: Store, results: Results) -> str:
    """The study's tables in Markdown, and their picture, beside the results."""
    tables = work.report.tables(results) if results.scores else "No trial has finished yet."
    parts = [escaped(f"{work.title}. {results.scope()}"), tables, results.excluded()]
    text = "\n\n".join(part for part in parts if part) + "\n"
    write_bytes(store.root / f"{work.name}.md", text.encode())
    if results.scores:
        write_bytes(store.root / f"{work.name}.png", work.report.picture(results))
    return text


def _where_to_look(
    store: Store, name: str, summary: StorePath, tracking_uri: str, mirrored: bool
) -> None:
    tracking_uri = without_passwords(tracking_uri)
    print(f"table    {store.root / name}.md")
    print(f"picture  {store.root / name}.png")
    print(f"Parquet  {summary}/{{trials,dynamics,scores}}.parquet")
    if not mirrored:
        print(
            f"MLflow   not up to date; later: python -m tracking.mlflow_sync {store.root} "
            f"--tracking-uri {tracking_uri}"
        )
    elif tracking_uri.startswith("sqlite:"):
        print(f"MLflow   mlflow ui --host 127.0.0.1 --backend-store-uri {tracking_uri}")
    else:
        print(f"MLflow   {tracking_uri}")
