"""The command line that all studies share."""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nsa_core import InputError
from nsa_core.training import best_precision
from studies.resources import Resources
from studies.results import Results, load_results
from studies.study import Grid, Study, build_grid
from tracking import Store, StoreError, create_store
from tracking.atomic import write_bytes
from tracking.store import default_tracking_uri


def main(study: Study, arguments: Sequence[str] | None = None) -> int:
    """Run a study from the command line; returns the exit status.

    0: all trials have ended well; 1: some failed or were not run; 2: bad input; 130: interrupted.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("nsa_core").setLevel(logging.INFO)
    options = _parser(study).parse_args(arguments)
    try:
        grid = _grid(study, options)
        if options.dry_run:
            _print_grid(grid)
            return 0
        return _run(grid, options)
    except (InputError, StoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _parser(study: Study) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=study.title, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    what = parser.add_argument_group("what to run")
    what.add_argument("--preset", default="quick", help=" | ".join(study.presets))
    what.add_argument("--dataset", help="a name, or the path of an image Parquet file")
    what.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets")
    what.add_argument("--classes", metavar="A,B", help="normal classes, by name or index")
    what.add_argument("--seeds", type=int, metavar="N", help="how many, counted from 0")
    length = what.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, metavar="N", help="length of each training")
    length.add_argument("--steps", type=int, metavar="N", help="the same, in optimiser steps")
    what.add_argument(
        "--set", action="append", default=[], metavar="KEY=JSON", help="any configuration field"
    )
    how = parser.add_argument_group("how to run it")
    how.add_argument("--store", default=f"results/{study.name}", help="folder of the results")
    how.add_argument("--tracking-uri", help="of MLflow; default: SQLite inside the store")
    how.add_argument("--address", help="of a running Ray cluster, or 'auto'")
    how.add_argument("--cpus-per-trial", type=int, default=1, metavar="N")
    how.add_argument("--gpus-per-trial", type=float, default=0.0, metavar="F", help="0.25, say")
    how.add_argument("--concurrency", type=int, metavar="N", help="trials at once, at most")
    how.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    how.add_argument("--retries", type=int, default=2, metavar="N", help="after a worker died")
    how.add_argument("--retry-failed", action="store_true", help="run failed trials again")
    how.add_argument("--dry-run", action="store_true", help="print the grid and stop")
    return parser


def _grid(study: Study, options: argparse.Namespace) -> Grid:
    overrides = dict(_assignment(text) for text in options.set)
    for unit in ("epochs", "steps"):
        if getattr(options, unit) is not None:
            overrides |= {"budget": getattr(options, unit), "budget_unit": unit}
    # chosen here, once for all workers, so that numbers do not depend on who trains them
    on_gpu = options.gpus_per_trial > 0 and options.device != "cpu"
    hardware = "cuda" if on_gpu and torch.cuda.is_available() else "cpu"
    defaults = {"precision": best_precision(torch.device(hardware))}
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds is {options.seeds}; need at least 1")
    if options.retries < 0:
        raise InputError(f"--retries is {options.retries}; need at least 0")
    Resources(options.cpus_per_trial, options.gpus_per_trial)  # refuse these before loading data
    return build_grid(
        study,
        options.preset,
        dataset=options.dataset,
        data_root=options.data_root,
        classes=options.classes.split(",") if options.classes else (),
        seeds=options.seeds,
        overrides=overrides,
        defaults=defaults,
    )


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text!r}: need KEY=VALUE, for instance width=32")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _print_grid(grid: Grid) -> None:
    first = grid.configs[0]
    print(f"{grid.study.name}: {len(grid.configs)} trials on {first.dataset}")
    axes = ("method", "norm", "batch_size", "pollution", "normal_class", "seed", "precision")
    for name in (*axes, "budget", "budget_unit", "evaluations", "depth", "width"):
        values = dict.fromkeys(str(getattr(config, name)) for config in grid.configs)
        print(f"  {name:14} {', '.join(values)}")


def _run(grid: Grid, options: argparse.Namespace) -> int:
    from studies import runner  # imports Ray, which a dry run does not need
    from tracking.mlflow_thread import MlflowThread

    how = runner.RunOptions(
        resources=Resources(options.cpus_per_trial, options.gpus_per_trial),
        address=options.address,
        concurrency=options.concurrency,
        retries=options.retries,
        data_root=options.data_root,
        device=options.device,
    )
    placement = runner.placement(how, len(grid.configs))
    store = create_store(options.store)
    tracking_uri = options.tracking_uri or default_tracking_uri(store)
    with store.writing(grid.study.name):
        trials = runner.register(store, grid)
        ids = runner.to_run(store, trials, options.retry_failed)
        _announce(store, list(trials), ids)
        if ids and placement.note:
            print(placement.note)
        mirror = MlflowThread(store, grid.study.name, tracking_uri)
        mirror.start()
        started = time.monotonic()
        try:
            if ids:
                runner.run(store, trials, ids, how, placement)
        finally:
            summary = store.write_summary()
            mirrored = mirror.close(timeout_s=120)
        results = load_results(store, trials)
        text = _report(grid.study, results)
        report = store.root / f"{grid.study.name}.md"
        write_bytes(report, text.encode())
        if results.scores:
            write_bytes(report.with_suffix(".png"), grid.study.report.picture(results))
    print(f"\n{text}")
    _where_to_look(store, summary, report, tracking_uri, mirrored)
    states = Counter(store.trial(key).state()["status"] for key in trials)
    if ids:
        print(f"{len(ids)} trials in {time.monotonic() - started:.0f} s")
    return 0 if states["finished"] + states["collapsed"] == len(trials) else 1


def _report(study: Study, results: Results) -> str:
    tables = study.report.tables(results) if results.scores else "No trial has finished yet."
    parts = [f"{study.title}. {results.scope()}", tables, results.excluded()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _announce(store: Store, trials: list[str], ids: list[str]) -> None:
    interrupted = sum(store.trial(key).checkpoint.exists() for key in ids)
    print(f"{len(trials)} trials: {len(trials) - len(ids)} done before, {len(ids)} to run", end="")
    print(f", {interrupted} of them from a checkpoint" if interrupted else "", flush=True)


def _where_to_look(
    store: Store, summary: Path, report: Path, tracking_uri: str, mirrored: bool
) -> None:
    print(f"table    {report}")
    print(f"picture  {report.with_suffix('.png')}")
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
