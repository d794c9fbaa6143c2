"""Which score on which layer: AUROC of the same trained networks, scorers by layers."""

from collections.abc import Mapping

from tracking.report.arms import levels_of
from tracking.report.blocks import Block, Cell, Picture, Pictures, Section, Table
from tracking.report.cells import Group, label, level
from tracking.report.numbers import percent
from tracking.report.panels import HeatMap
from tracking.report.results import Results
from tracking.report.trials import EMBEDDING, ENSEMBLE, METHOD, Trial

LAYERS = ("stem", "stage1", "stage2", "stage3", EMBEDDING, "projection", ENSEMBLE, METHOD)
"""From the input on; "ensemble" adds up scores of the encoder's layers, "method" is a score of the
method's own."""

_MOST_ARMS = 8  # with tables of their own where the study does not lead with them

Cells = dict[tuple[str, str], Group]
"""By (layer, scorer)."""


def layers(results: Results) -> Section | None:
    """A table and a heat map an arm; None where the embedding alone was scored."""
    found = {layer for trial in results.finished for layer, _ in trial.last}
    if found <= {EMBEDDING}:
        return None
    known = [layer for layer in LAYERS if layer in found]
    order = [*known, *sorted(found - set(known))]
    arms = _arms(results)
    maps = {name: _cells(trials) for name, trials in arms.items()}
    blocks: list[Block] = [
        _table(results, f"{name} (n = {len(arms[name])})", cells, order)
        for name, cells in maps.items()
    ]
    return Section("Scores by layers", [_heat(results, maps, order), *blocks])


def _arms(results: Results) -> dict[str, list[Trial]]:
    """Finished trials by the arm's name; all of them together where arms are too many."""
    levels = levels_of(results, results.finished, results.arm)
    if len(levels) > _MOST_ARMS and "layers" not in results.lead:
        return {"all trials": results.finished}
    return {
        label(results.arm, arm): [t for t in results.finished if level(t, results.arm) == arm]
        for arm in levels
    }


def _cells(trials: list[Trial]) -> Cells:
    cells: Cells = {}
    for trial in trials:
        for key, value in trial.last.items():
            cells.setdefault(key, Group()).add(trial, value)
    return cells


def _scorers(results: Results, cells: Cells) -> list[str]:
    return sorted(
        {scorer for _, scorer in cells}, key=lambda name: (name != results.headline, name)
    )


def _table(results: Results, caption: str, cells: Cells, order: list[str]) -> Table:
    body: list[list[Cell]] = []
    for scorer in _scorers(results, cells):
        groups = [cells.get((layer, scorer)) for layer in order]
        body.append([scorer, *(percent(group.mean if group else None) for group in groups)])
    text = f"{caption}: mean AUROC in % at the last epoch."
    return Table(text, ["score", *order], body)


def _heat(results: Results, maps: Mapping[str, Cells], order: list[str]) -> Pictures:
    means = [group.mean for cells in maps.values() for group in cells.values()]
    pictures = []
    for name, cells in maps.items():
        scorers = _scorers(results, cells)
        values = {
            (scorers.index(scorer), order.index(layer)): group.mean
            for (layer, scorer), group in cells.items()
        }
        span = min(means), max(means)
        panel = HeatMap(name, ("score", scorers), ("layer", order), values, span)
        (layer, scorer), best = max(cells.items(), key=lambda item: item[1].mean)
        alt = (
            f"AUROC in %, {name}, scores by layers. Highest: {scorer} on {layer}, "
            f"{percent(best.mean)}; lowest {percent(min(g.mean for g in cells.values()))}."
        )
        pictures.append(Picture(f"layers {name}", panel, alt))
    caption = "Mean AUROC in % at the last epoch, scores by layers, one scale for all maps."
    return Pictures(caption, pictures)
