"""What stands in the place of AUROC where nothing is ranked: the signals of the training split."""

import math

from tracking.report.blocks import Block, Cell, Section, Table
from tracking.report.cells import Group, Level, describe, grouped, in_order, level
from tracking.report.numbers import NONE, field_text, number, value_text
from tracking.report.results import Results
from tracking.report.trials import Trial
from tracking.selection import SIGNALS, best_trial, last_value

COLUMNS = {
    "kappa": "kappa_train",
    "projection kappa": "projection_kappa_train",
    "MMD": "mmd_train",
    "alignment": "alignment_train",
    "effective rank": "effective_rank_train",
    "spread": "spread_train",
    "loss": "loss",
    "held-out AUROC": "held_out_auroc",
}
"""What is shown to its column of ``dynamics``."""


def signals(results: Results) -> Section:
    """A line an arm; and, where a study is about selection, the trial that each signal chooses."""
    blocks: list[Block] = [_table(results)]
    if "selection" in results.lead:
        blocks.append(_choices(results))
    return Section("Training signals", blocks)


def absent_text(results: Results) -> str:
    """Which numbers there are not, and why."""
    noted = [text for trial in results.finished if (text := str(trial.state.get("absent") or ""))]
    why = noted[0] if noted else "no trial has an AUROC"
    return (
        f"{why[0].upper()}{why[1:]}. In their place stand signals of the training split, which do "
        "not tell how well outliers are found."
    )


def signal_groups(results: Results, column: str) -> dict[Level, Group]:
    """A signal at the last epoch by the arm's values; trials without it are left out."""
    return grouped(
        results.finished,
        lambda trial: level(trial, results.arm),
        lambda trial: _last(trial, column),
    )


def _last(trial: Trial, column: str) -> float | None:
    values = trial.quantity(column)
    return float(values[-1]) if len(values) and math.isfinite(values[-1]) else None


def _table(results: Results) -> Table:
    every = {name: signal_groups(results, column) for name, column in COLUMNS.items()}
    shown = {name: groups for name, groups in every.items() if groups}
    arms = in_order(results, (level(t, results.arm) for t in results.finished), results.arm)
    body: list[list[Cell]] = []
    for arm in arms:
        count = sum(level(trial, results.arm) == arm for trial in results.finished)
        cells = [_cell(groups.get(arm)) for groups in shown.values()]
        body.append([*(map(value_text, arm) if arm else ["all trials"]), str(count), *cells])
    return Table(
        "Signals of the training split at the last epoch, by arm: mean and [95 % interval], number "
        "of trials n. A signal depends on norm, batch size and number of training images, too: it "
        "ranks no arms that differ in these.",
        [*(map(field_text, results.arm) if results.arm else [""]), "n", *shown],
        body,
        labels=max(1, len(results.arm)),
    )


def _cell(group: Group | None) -> Cell:
    if group is None:
        return NONE
    if group.bounds is None:
        return number(group.mean)
    low, high = group.bounds
    return number(group.mean), f"[{number(low)}, {number(high)}]"


def _choices(results: Results) -> Table:
    trials = {trial.trial_id: trial for trial in results.finished}
    rows = {key: trial.signals for key, trial in trials.items()}
    body: list[list[Cell]] = []
    for name in SIGNALS:
        if (key := best_trial(rows, name)) is not None:
            value = number(last_value(rows[key], name))
            body.append([name, describe(results, trials[key]), key, value])
    return Table(
        "The trial that each signal chooses at the last epoch.",
        ["signal", "trial", "id", "its value"],
        body,
        labels=3,
    )
