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
from tracking.report.cells import Group, Level, grouped, label, level
from tracking.report.numbers import NONE, number, points, points_interval, signed
from tracking.report.panels import Curves, Line, Point, roomy
from tracking.report.results import Results
from tracking.report.statistics import spearman
from tracking.report.trials import Trial

AUROC = "AUROC in %"
QUANTITIES = {
    AUROC: None,  # of the headline score
    "kappa of training embeddings": "kappa_train",
    "linear probe accuracy": "linear_probe",
    "squared MMD to uniform": "mmd_train",
    "alignment of views": "alignment_train",
    "loss": "loss",
}
"""What is drawn to its column of ``dynamics``."""

_SIGNALS = {"kappa": "kappa_train", "MMD": "mmd_train", "linear probe": "linear_probe",
            "held-out AUROC": "held_out_auroc"}  # fmt: skip
_FEWEST_EPOCHS = 4  # for a rank correlation
_MOST_EPOCHS = 12  # of a table

Arms = dict[Level, dict[Level, list[list[Point]]]]
"""Lines of trials by what tells panels apart, then by what tells lines apart."""


def dynamics(results: Results) -> Section:
    """A row of panels a quantity, with its numbers where the study leads with it; correlations."""
    blocks: list[Block] = []
    for title, column in QUANTITIES.items():
        arms = _arms(results, column)
        if any(len(line) > 1 for line in _lines(arms)):
            blocks.append(_panels(results, title, arms))
            if "dynamics" in results.lead:
                blocks.append(_table(results, title, arms))
    if results.ranked and any(len(t.epochs) >= _FEWEST_EPOCHS for t in results.finished):
        blocks.append(_correlations(results))
    return Section("Training dynamics", blocks)


def _line(results: Results, trial: Trial, column: str | None) -> list[Point]:
    """(epoch, value), what was not measured left out."""
    if column is None:
        found = trial.auroc.get(results.headline, {})
        return [(epoch, 100 * value) for epoch, value in sorted(found.items())]
    pairs = zip(trial.epochs.tolist(), trial.quantity(column).tolist(), strict=True)
    return [(epoch, value) for epoch, value in pairs if np.isfinite(value)]


def _arms(results: Results, column: str | None) -> Arms:
    apart, across = line_fields(results), panel_fields(results)
    found: Arms = {}
    for trial in results.finished:
        if line := _line(results, trial, column):
            panel = found.setdefault(level(trial, across), {})
            panel.setdefault(level(trial, apart), []).append(line)
    return found


def _lines(arms: Arms) -> list[list[Point]]:
    return [line for panel in arms.values() for lines in panel.values() for line in lines]


def _panels(results: Results, title: str, arms: Arms) -> Pictures:
    apart, across = line_fields(results), panel_fields(results)
    every = [point for line in _lines(arms) for point in line]
    epochs, values = [epoch for epoch, _ in every], [value for _, value in every]
    log = max(epochs) >= 50 * min(epochs) > 0, min(values) > 0 and max(values) > 30 * min(values)
    x = (min(epochs), max(epochs)) if max(epochs) > min(epochs) else roomy(epochs)
    y = roomy(values, log=log[1])
    order = levels_of(results, results.finished, apart)
    pictures = []
    for at in levels_of(results, results.finished, across):
        name = panel_name(across, at)
        lines = [
            Line(line_name(arm), mean_line(own), place, faint=own if len(own) > 1 else ())
            for place, arm in enumerate(order)
            if (own := arms.get(at, {}).get(arm))
        ]
        panel = Curves(f"{title}, {name}" if name else title, "epoch", lines, x, y, log)
        ends = ", ".join(f"{line.name} {line.points[-1][1]:.3g}" for line in lines)
        place_text = f", {name}" if name else ""
        alt = f"{title} over epochs{place_text}. Mean at the end: {ends}."
        pictures.append(Picture(f"{title} {name}", panel, alt))
    caption = f"{title} over epochs: a thin line a finished trial, a thick one the mean of an arm"
    return Pictures(caption + averaged_over(results, [*apart, *across]), pictures)


def _table(results: Results, title: str, arms: Arms) -> Table:
    """The thick lines as numbers."""
    apart, across = line_fields(results), panel_fields(results)
    epochs = sorted({int(epoch) for line in _lines(arms) for epoch, _ in line})
    places = np.linspace(0, len(epochs) - 1, min(_MOST_EPOCHS, len(epochs))).round()
    shown = [epochs[int(place)] for place in places]
    body: list[list[Cell]] = []
    for at in levels_of(results, results.finished, across):
        for arm in levels_of(results, results.finished, apart):
            if lines := arms.get(at, {}).get(arm):
                means = dict(mean_line(lines))
                cells = [_value(title, means.get(epoch)) for epoch in shown]
                name = " ".join(filter(None, [line_name(arm), panel_name(across, at)]))
                body.append([name, str(len(lines)), *cells])
    caption = f"{title}, by epoch: means over classes and seeds, n trials"
    if len(shown) < len(epochs):
        caption += f"; {len(shown)} of {len(epochs)} evaluated epochs"
    caption += averaged_over(results, [*apart, *across])
    return Table(caption, ["arm", "n", *map(str, shown)], body)


def _value(title: str, value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f}" if title == AUROC else number(value, 4)


def mean_line(lines: Sequence[Sequence[Point]]) -> list[Point]:
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
) -> dict[Level, Group]:
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
