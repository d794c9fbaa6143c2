"""How much AUROC an arm loses for each 0.1 of pollution p, and what the compared field changes."""

from collections import Counter
from collections.abc import Iterable

from tracking.report.arms import levels_of
from tracking.report.blocks import Cell, Table
from tracking.report.cells import Group, Level, grouped, label, level
from tracking.report.numbers import (
    NONE,
    count,
    field_text,
    percent,
    points,
    points_interval,
    value_text,
)
from tracking.report.results import Results
from tracking.report.sections.norms import base_value
from tracking.report.statistics import slope
from tracking.report.trials import Trial

P = "pollution"

Slopes = dict[Level, dict[str, tuple[Trial, float]]]
"""By arm, then by all that the trials of a curve share but the compared field: one of them, and
points of AUROC for each 0.1 of p.
"""


def _arm(results: Results) -> list[str]:
    return [name for name in results.arm if name != P]


def slopes_of(results: Results) -> Slopes:
    """Of every curve with several p, by least squares. Its trials are equal in all but p."""
    fields = _arm(results)
    curves: dict[str, dict[float, Trial]] = {}
    for trial in results.finished:
        curves.setdefault(trial.without(P), {})[float(trial.value(P))] = trial
    found: Slopes = {}
    for curve in curves.values():
        values = [trial.final(results.headline) or 0.0 for trial in curve.values()]
        if (change := slope(list(curve), values)) is not None:
            first = next(iter(curve.values()))
            others = first.without(P, results.compare)
            found.setdefault(level(first, fields), {})[others] = first, change / 10
    return found


def slope_table(results: Results, slopes: Slopes) -> Table | None:
    """Mean slopes, and the class that suffers most; None where no curve has several p."""
    if not slopes:
        return None
    fields = _arm(results)
    shares = [p for p in results.levels(P) if any(t.value(P) == p for t in results.finished)]
    body: list[list[Cell]] = []
    for arm in levels_of(results, results.finished, fields):
        if arm in slopes:
            group = _group(slopes[arm].values())
            trials = [trial for trial in results.finished if level(trial, fields) == arm]
            worst = [_worst_class(results, [t for t in trials if t.value(P) == p]) for p in shares]
            mean = points(group.mean), points_interval(group.bounds)
            body.append([label(fields, arm), mean, str(group.n), *worst])
    sizes = Counter(trial.without(P) for trial in results.finished)
    alone = sum(size == 1 for size in sizes.values())
    said = f" ({count(alone, 'trial')} on no curve left out)" if alone else ""
    return Table(
        "What 10 % of pollution costs: least-squares slope of AUROC against p over trials that are "
        "equal in all else, class and seed included, in points for each 0.1 of p; mean, [95 % "
        f"interval], n curves{said}. Beside it the class with the lowest mean over seeds, AUROC "
        "in %.",
        ["arm", "points for 10 %", "n", *(f"worst class, p = {value_text(p)}" for p in shares)],
        body,
    )


def slope_differences(results: Results, slopes: Slopes) -> Table | None:
    """What the compared field changes in the slopes; None if it is not among the arm's fields."""
    fields, field, base = _arm(results), results.compare, base_value(results)
    if field not in fields or base is None:
        return None
    place = fields.index(field)
    rest = [name for name in fields if name != field]
    bases = {
        _without(arm, place): own for arm, own in slopes.items() if value_text(arm[place]) == base
    }
    body: list[list[Cell]] = []
    for arm in levels_of(results, results.finished, fields):
        against = bases.get(_without(arm, place), {})
        shared = sorted(slopes.get(arm, {}).keys() & against.keys())
        if value_text(arm[place]) != base and shared:
            own = slopes[arm]
            group = _group([(own[key][0], own[key][1] - against[key][1]) for key in shared])
            mean = points(group.mean), points_interval(group.bounds)
            name = f"{value_text(arm[place])} \u2212 {base}"
            body.append([name, label(rest, _without(arm, place)), mean, str(group.n)])
    if not body:
        return None
    return Table(
        f"What {field_text(field)} changes in that slope, over pairs of curves that are equal in "
        "all else: points for each 0.1 of p, mean, [95 % interval], n pairs. Above 0 less is lost.",
        [field_text(field), "setting", "points for 10 %", "n"],
        body,
        labels=2,
    )


def _without(arm: Level, place: int) -> Level:
    return (*arm[:place], *arm[place + 1 :])


def _group(slopes: Iterable[tuple[Trial, float]]) -> Group:
    group = Group()
    for trial, value in slopes:
        group.add(trial, value)
    return group


def _worst_class(results: Results, trials: list[Trial]) -> Cell:
    by_class = grouped(trials, lambda t: t.class_key, lambda t: t.final(results.headline))
    if not by_class:
        return NONE
    worst = min(by_class.values(), key=lambda group: group.mean)
    return percent(worst.mean), f"class {worst.trials[0].class_name}"
