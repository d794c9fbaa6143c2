"""The command line that all studies share. Light: ``--help`` loads neither torch nor Ray."""

import argparse
import json
from typing import Any

from nsa_core.errors import InputError
from studies.plan.search import Search
from studies.plan.study import Study
from tracking.selection import SIGNALS

AUTO, ON, OFF = "auto", "on", "off"
SAMPLERS = ("random", "tpe")
_OPTIONS = {
    "dataset": "--dataset",
    "normal_class": "--classes",
    "seed": "--seeds",
    "budget": "--epochs or --steps",
    "budget_unit": "--epochs or --steps",
    "compile": "--compile",
}


def parser(study: Study | Search) -> argparse.ArgumentParser:
    """The options of every study, and those of a search."""
    made = argparse.ArgumentParser(
        prog=study.name,
        description=study.title,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    what = made.add_argument_group("what to run")
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
    how = made.add_argument_group("how to run it")
    how.add_argument(
        "--store",
        default=f"results/{study.name}",
        help="folder of the results, or s3://BUCKET/PREFIX",
    )
    how.add_argument(
        "--tracking-uri", help="of MLflow; default: MLFLOW_TRACKING_URI, else SQLite in the store"
    )
    how.add_argument("--address", help="of a running Ray cluster, or 'auto'")
    how.add_argument("--cpus-per-trial", type=int, default=1, metavar="N")
    how.add_argument(
        "--gpus-per-trial", type=_share, default=0.0, metavar="F", help="0.25, say, or 'auto'"
    )
    how.add_argument("--concurrency", type=int, metavar="N", help="trials at once, at most")
    how.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    how.add_argument(
        "--compile",
        default=AUTO,
        choices=(AUTO, ON, OFF),
        help="torch's compiler; 'auto': where it saves more time than it takes, by forecast",
    )
    how.add_argument("--retries", type=int, default=2, metavar="N", help="after a worker died")
    how.add_argument(
        "--stall-minutes",
        type=float,
        default=10.0,
        metavar="M",
        help="end a worker that makes no progress for so long",
    )
    how.add_argument("--retry-failed", action="store_true", help="run failed trials again")
    how.add_argument("--dry-run", action="store_true", help="print grid and forecast, and stop")
    how.add_argument("--max-hours", type=float, metavar="H", help="refuse what would take longer")
    if isinstance(study, Search):
        _add_search_options(made)
    return made


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Configuration fields that the user set."""
    found = dict(_assignment(text) for text in options.set)
    for key in found.keys() & _OPTIONS.keys():
        raise InputError(f"--set {key}={found[key]}: it has an option of its own, {_OPTIONS[key]}")
    for unit in ("epochs", "steps"):
        if getattr(options, unit) is not None:
            found |= {"budget": getattr(options, unit), "budget_unit": unit}
    return found


def _add_search_options(made: argparse.ArgumentParser) -> None:
    search = made.add_argument_group("how to search")
    search.add_argument("--trials", type=int, metavar="N", help="how many; default: the preset's")
    search.add_argument(
        "--objectives", default="held-out", metavar="A,B", help=f"signals: {', '.join(SIGNALS)}"
    )
    search.add_argument("--sampler", default="tpe", help=" | ".join(SAMPLERS))
    search.add_argument(
        "--asha", metavar="SIGNAL", help="stop trials early that are behind by this signal"
    )
    search.add_argument("--storage", help="of Optuna, a file or a URL; default: in the store")


def _share(text: str) -> float | str:
    return AUTO if text == AUTO else float(text)


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text!r}: need KEY=VALUE, for instance width=32")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
