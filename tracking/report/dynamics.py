"""How trainings went: small multiples over epochs, and which signals follow the AUROC."""

from collections.abc import Callable, Sequence

import numpy as np

from tracking.report.arms import (
    averaged_over,
    levels_of,
    line_fields,
    line_name,
    panel_fields,
    panel_name,
)
from tracking.report.blocks import Block, Cell, Picture, Pictures, Section, Table
from tracking.report.cells import Group, grouped, label, level
from tracking.report.charts import BOTTOM, LEFT, RIGHT, TOP, Panel, Point, spanning
from tracking.report.numbers import NONE, points, points_interval, signed
from tracking.report.results import Results, Trial
from tracking.statistics import spearman

QUANTITIES = {
    "AUROC in %": None,  # of the headline score
    "kappa of training embeddings": "kappa_train",
    "squared MMD to uniform": "mmd_train",
    "linear probe accuracy": "linear_probe",
}
"""What is drawn to its column of ``dynamics``."""

_SIGNALS = {"kappa": "kappa_train", "MMD": "mmd_train", "linear probe": "linear_probe",
            "held-out AUROC": "held_out_auroc"}  # fmt: skip
_FEWEST_EPOCHS = 4  # for a rank correlation


def dynamics(results: Results) -> Section:
    """A row of panels a quantity, then how signals rank epochs."""
    blocks: list[Block] = []
    for title, column in QUANTITIES.items():
        lines = {t.trial_id: line for t in results.finished if (line := _line(results, t, column))}
        if any(len(line) > 1 for line in lines.values()):
            blocks.append(_panels(results, title, lines))
    if any(len(trial.epochs) >= _FEWEST_EPOCHS for trial in results.finished):
        blocks.append(_correlations(results))
    return Section("Training dynamics", blocks)


def _line(results: Results, trial: Trial, column: str | None) -> list[Point]:
    """(epoch, value), what was not measured left out."""
    if column is None:
        found = trial.auroc.get(results.headline, {})
        return [(epoch, 100 * value) for epoch, value in sorted(found.items())]
    values = trial.dynamics[column].tolist()
    pairs = zip(trial.epochs.tolist(), values, strict=True)
    return [(epoch, value) for epoch, value in pairs if np.isfinite(value)]


def _panels(results: Results, title: str, lines: dict[str, list[Point]]) -> Pictures:
    apart, across = line_fields(results), panel_fields(results)
    every = [point for line in lines.values() for point in line]
    epochs, values = [epoch for epoch, _ in every], [value for _, value in every]
    x = spanning(epochs, LEFT + 4, RIGHT, log=max(epochs) >= 50 * min(epochs))
    y = spanning(values, BOTTOM, TOP, log=min(values) > 0 and max(values) > 30 * min(values))
    trials = [trial for trial in results.finished if trial.trial_id in lines]
    arms = levels_of(results, trials, apart)
    pictures = []
    for at in levels_of(results, trials, across):
        name = panel_name(across, at)
        panel = Panel(f"{title}, {name}" if name else title, x, y, "epoch")
        drawn = {
            arm: [
                lines[trial.trial_id]
                for trial in trials
                if level(trial, across) == at and level(trial, apart) == arm
            ]
            for arm in arms
        }
        for index, arm in enumerate(arms):
            panel.faint_lines(drawn[arm], index)
        for index, arm in enumerate(arms):
            if drawn[arm]:
                panel.line(_mean(drawn[arm]), index, line_name(arm))
        alt = _alt(title, name, {arm: _mean(found)[-1][1] for arm, found in drawn.items() if found})
        pictures.append(Picture(f"{title} {name}", panel.svg(), alt))
    caption = f"{title} over epochs: a thin line a finished trial, a thick one the mean of an arm"
    return Pictures(caption + averaged_over(results, [*apart, *across]), pictures)


def _mean(lines: Sequence[Sequence[Point]]) -> list[Point]:
    """Over the lines that have an epoch, where at least half of them have."""
    by_epoch: dict[float, list[float]] = {}
    for line in lines:
        for epoch, value in line:
            by_epoch.setdefault(epoch, []).append(value)
    return [
        (epoch, float(np.mean(values)))
        for epoch, values in sorted(by_epoch.items())
        if 2 * len(values) >= max(map(len, by_epoch.values()))
    ]


def _alt(title: str, name: str, last: dict[tuple[object, ...], float]) -> str:
    ends = ", ".join(f"{line_name(arm)} {value:.3g}" for arm, value in last.items())
    return f"{title} over epochs{', ' + name if name else ''}. Mean at the end: {ends}."


def _correlations(results: Results) -> Table:
    """Does a signal that needs no labels rank the epochs of a training as its AUROC does?"""
    apart = line_fields(results)

    def follows(column: str) -> Callable[[Trial], float | None]:
        return lambda trial: _correlation(results, trial, column)

    lost = _grouped(results, apart, lambda trial: _lost(results, trial))
    found = {name: _grouped(results, apart, follows(column)) for name, column in _SIGNALS.items()}
    kept = {name: groups for name, groups in found.items() if groups}
    body: list[list[Cell]] = []
    for arm in levels_of(results, results.finished, apart):
        cells: list[Cell] = [_text(groups.get(arm)) for groups in kept.values()]
        body.append([label(apart, arm), *cells, _lost_text(lost.get(arm))])
    return Table(
        "Rank correlation of each signal with the AUROC over the epochs of a trial, mean over "
        "trials; and how many points of AUROC the last epoch is below the best one (chosen with "
        "the test's labels, so for analysis alone).",
        ["arm", *kept, "best epoch – last"],
        body,
    )


def _grouped(
    results: Results, apart: list[str], value: Callable[[Trial], float | None]
) -> dict[tuple[object, ...], Group]:
    return grouped(results.finished, lambda trial: level(trial, apart), value)


def _correlation(results: Results, trial: Trial, column: str) -> float | None:
    auroc, signal = dict(_line(results, trial, None)), dict(_line(results, trial, column))
    both = sorted(auroc.keys() & signal.keys())
    if len(both) < _FEWEST_EPOCHS:
        return None
    return spearman([signal[epoch] for epoch in both], [auroc[epoch] for epoch in both])


def _lost(results: Results, trial: Trial) -> float:
    auroc = trial.auroc[results.headline]
    return max(auroc.values()) - auroc[max(auroc)]


def _text(group: Group | None) -> str:
    return signed(group.mean) if group else NONE


def _lost_text(group: Group | None) -> Cell:
    return (points(group.mean), points_interval(group.bounds)) if group else NONE
