"""The command line that all studies share: what it takes, and what that means."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import torch

from nsa_core import InputError
from nsa_core.training import best_precision
from studies.resources import Resources

AUTO = "auto"


def parser(name: str, title: str, presets: Mapping[str, object]) -> argparse.ArgumentParser:
    """The options of every study; a search adds its own."""
    made = argparse.ArgumentParser(
        prog=name, description=title, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    what = made.add_argument_group("what to run")
    what.add_argument("--preset", default="quick", help=" | ".join(presets))
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
        "--store", default=f"results/{name}", help="folder of the results, or s3://BUCKET/PREFIX"
    )
    how.add_argument("--tracking-uri", help="of MLflow; default: SQLite inside the store")
    how.add_argument("--address", help="of a running Ray cluster, or 'auto'")
    how.add_argument("--cpus-per-trial", type=int, default=1, metavar="N")
    how.add_argument(
        "--gpus-per-trial", type=_share, default=0.0, metavar="F", help="0.25, say, or 'auto'"
    )
    how.add_argument("--concurrency", type=int, metavar="N", help="trials at once, at most")
    how.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    how.add_argument("--retries", type=int, default=2, metavar="N", help="after a worker died")
    how.add_argument("--retry-failed", action="store_true", help="run failed trials again")
    how.add_argument("--dry-run", action="store_true", help="print grid and forecast, and stop")
    how.add_argument("--max-hours", type=float, metavar="H", help="refuse what would take longer")
    return made


def checked(options: argparse.Namespace) -> None:
    """Refuse impossible values before any data is loaded."""
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds is {options.seeds}; need at least 1")
    if options.retries < 0:
        raise InputError(f"--retries is {options.retries}; need at least 0")
    if options.max_hours is not None and not options.max_hours > 0:
        raise InputError(f"--max-hours is {options.max_hours}; need a number above 0")
    if options.gpus_per_trial != AUTO:
        Resources(options.cpus_per_trial, options.gpus_per_trial)
    elif not torch.cuda.is_available():
        raise InputError(
            "--gpus-per-trial is 'auto', which measures trials on a GPU of this machine, and torch "
            f"{torch.__version__} sees none; give a number, or leave it out to train on CPUs"
        )


def device_of(options: argparse.Namespace) -> str:
    """ "cuda" where trials will train on GPUs of this machine, else "cpu"."""
    wanted = options.gpus_per_trial == AUTO or options.gpus_per_trial > 0
    on_gpu = (wanted and options.device != "cpu") or options.device == "cuda"
    return "cuda" if on_gpu and torch.cuda.is_available() else "cpu"


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Configuration fields that the user set."""
    found = dict(_assignment(text) for text in options.set)
    for unit in ("epochs", "steps"):
        if getattr(options, unit) is not None:
            found |= {"budget": getattr(options, unit), "budget_unit": unit}
    return found


def defaults(options: argparse.Namespace) -> dict[str, Any]:
    """Fields that depend on the hardware, chosen once for all workers: so that numbers do not
    depend on who trains them.
    """
    return {"precision": best_precision(torch.device(device_of(options)))}


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
