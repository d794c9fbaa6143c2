"""The report of ``benchmarks/every_method.py``, made from its store alone."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from hardware import describe, markdown_table

from nsa_core import TrialConfig, methods
from tracking import open_store
from tracking.report.statistics import class_mean, interval, paired_test

Row = dict[str, Any]
COMMON = ("k-cos", "c-cos", "cosine-knn", "kde", "oc-svm")
PAIRS = (("simsiam", "both"), ("byol", "both"), ("simclr", "f"), ("simclr-shifted", "f"))


def report(store: Path, size: str) -> str:
    """Markdown: who is best, what pollution costs, and the orderings that the paper says."""
    opened = open_store(store)
    trials = opened.trials().to_pylist()
    scores: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for row in opened.scores().sort_by("epoch").to_pylist():  # the last epoch stays
        scores[row["trial_id"]][row["layer"], row["scorer"]] = 100 * row["auroc"]
    kappas: dict[str, list[float]] = defaultdict(list)
    for row in opened.dynamics().sort_by("epoch").to_pylist():
        kappas[row["trial_id"]].append(row["kappa_train"])
    ended = [row for row in trials if row["status"] == "finished"]
    for row in ended:
        row["scores"], row["kappas"] = scores[row["trial_id"]], kappas[row["trial_id"]]
    others = [
        f"- {row['method']} {row['norm']}, {row['class_name']}, p = {row['pollution']:g}, seed "
        f"{row['seed']}: {row['status']}. {row['message']}"
        for row in trials
        if row["status"] not in ("finished", "pending", "running")
    ]
    missing = sum(row["status"] in ("pending", "running") for row in trials)
    classes = sorted({row["class_name"] for row in trials})
    machine = describe(torch.device("cpu"))
    return "\n\n".join(
        [
            "# Every method on Fashion-MNIST, very small",
            f"Made by `python benchmarks/every_method.py`: {size} ({', '.join(classes)} normal in "
            f"turn, {len({row['seed'] for row in trials})} seeds), ResNet-10 of width 8 behind a "
            "3x3 convolution of stride 2, 300 steps of about 128 views (methods with a backbone: "
            "EfficientNet-Lite0 of ImageNet at 64 pixels, adapted in 40 steps), no warm-up, and "
            "what the last table says; all else is each method's published training. "
            f"{len(ended)} of {len(trials)} trials finished. AUROC in percent at the last epoch, "
            "never the best one: mean over classes and seeds [95 % interval over classes, "
            "cut at 100]; κ and seconds of a trial are medians.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            *(table(ended, share) for share in sorted({row["pollution"] for row in trials})),
            "## What pollution costs, and the paper's orderings",
            "Paired by class and seed; p by the sign-flip test over classes, of which three cannot "
            "reach less than 0.25. κ is of the training images' embedding.",
            markdown_table(["difference", "mean [interval]", "of pairs above 0", "p"],
                           list(orderings(ended))),
            "## Trials that did not finish",
            "\n".join(others) or "None ended badly.",
            *([f"{missing} have not been run yet."] if missing else []),
            "## What is not the published training",
            "Beside network and length. In brackets the published value, or this project's where "
            "none is.",
            changes(trials),
        ]
    ) + "\n"  # fmt: skip


def changes(trials: Iterable[Row]) -> str:
    """Each method's batch, rate and options, beside those of its recipe."""
    defaults = {each.name: each.default for each in fields(TrialConfig)}
    lines = {}
    for row in trials:
        given = json.loads(row["method_options"])
        recipe = defaults | methods.recipe(row["method"], given)
        usual = methods.options(row["method"], given)
        lines[row["method"]] = [
            row["method"],
            f"{row['batch_size']} ({recipe['batch_size']})",
            f"{row['learning_rate']:g} ({recipe['learning_rate']:g})",
            ", ".join(f"{name} {value} ({usual[name]})" for name, value in given.items()) or "-",
        ]
    return markdown_table(["method", "images a step", "rate", "options"], sorted(lines.values()))


def table(ended: list[Row], share: float) -> str:
    """All methods at one share of pollution."""
    arms = sorted({(row["method"], row["norm"]) for row in ended})
    lines = []
    for method, norm in arms:
        found = [
            row for row in ended
            if (row["method"], row["norm"], row["pollution"]) == (method, norm, share)
        ]  # fmt: skip
        if not found:
            continue
        own = sorted({key for row in found for key in row["scores"] if key[0] == "method"})
        cells = [("embedding", scorer) for scorer in COMMON] + [("ensemble", "c-cos")]
        seconds = sorted(row["seconds"] for row in found)[len(found) // 2]
        kappa = sorted(row["kappas"][-1] for row in found)[len(found) // 2]
        lines.append([
            f"{method} {norm}".removesuffix(" none"),
            str(len(found)),
            ", ".join(f"{name} {_mean(found, ('method', name))}" for _, name in own) or "-",
            *(_mean(found, cell) for cell in cells),
            f"{kappa:,.0f}",
            f"{seconds:.0f}",
        ])  # fmt: skip
    header = ["method", "n", "its own score", *COMMON, "c-cos, ensemble", "κ", "s"]
    return f"## p = {share:g}\n\n{markdown_table(header, lines)}"


def _grouped(rows: Iterable[Row], value: Callable[[Row], float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        groups[row["class_name"]].append(value(row))
    return groups


def _mean(rows: list[Row], cell: tuple[str, str]) -> str:
    groups = _grouped((row for row in rows if cell in row["scores"]), lambda r: r["scores"][cell])
    return _said(groups) if groups else "-"


def _said(groups: dict[str, list[float]], form: str = ".1f", highest: float = 100.0) -> str:
    bounds = interval(groups)
    shown = f" [{bounds[0]:{form}}, {min(bounds[1], highest):{form}}]" if bounds else ""
    return f"{class_mean(groups):{form}}{shown}"


def orderings(ended: list[Row]) -> Iterable[list[str]]:
    """Lines of paired differences."""
    by = {
        (row["method"], row["norm"], row["pollution"], row["class_name"], row["seed"]): row
        for row in ended
    }
    units = sorted({key[3:] for key in by})

    def line(name: str, value: Callable[[tuple[str, int]], float]) -> list[str]:
        groups: dict[str, list[float]] = defaultdict(list)
        for unit in units:
            try:
                difference = value(unit)
            except KeyError:  # a trial of the pair has not finished
                continue
            groups[unit[0]].append(difference)
        if not groups:
            return [name, "no pair", "-", "-"]
        flat = [each for group in groups.values() for each in group]
        above = f"{sum(each > 0 for each in flat)} of {len(flat)}"
        return [name, _said(groups, "+.1f", math.inf), above, f"{paired_test(groups):.2g}"]

    for method, norm in PAIRS:
        for share in (0.0, 0.1):
            yield line(
                f"κ of {method} with {norm} minus none, p = {share:g}",
                lambda u, m=method, n=norm, p=share: (
                    by[m, n, p, *u]["kappas"][-1] - by[m, "none", p, *u]["kappas"][-1]
                ),
            )
        for cell in (("embedding", "k-cos"), ("embedding", "cosine-knn")):
            yield line(
                f"{cell[1]}'s loss to p = 0.1, {method} none minus {norm}",
                lambda u, m=method, n=norm, c=cell: (
                    _loss(by, m, "none", c, u) - _loss(by, m, n, c, u)
                ),
            )
    for norm in ("none", "f"):
        yield line(
            f"κ of simclr {norm}, first minus last evaluation, p = 0",
            lambda u, n=norm: (
                by["simclr", n, 0.0, *u]["kappas"][0] - by["simclr", n, 0.0, *u]["kappas"][-1]
            ),
        )


def _loss(
    by: dict[Any, Row], method: str, norm: str, cell: tuple[str, str], unit: tuple[str, int]
) -> float:
    clean, polluted = by[method, norm, 0.0, *unit], by[method, norm, 0.1, *unit]
    return clean["scores"][cell] - polluted["scores"][cell]
