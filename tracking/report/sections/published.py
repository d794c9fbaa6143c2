"""Every published figure beside ours under the same kind of score, per class, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracking.report.blocks import Block, Cell, Section, Table, Text
from tracking.report.cells import Group, grouped
from tracking.report.numbers import NONE, field_text, percent, value_text
from tracking.report.results import Results
from tracking.report.sections.paper import unlike_the_paper, verdict
from tracking.report.statistics import class_mean
from tracking.report.trials import METHOD

_NOT_SHOWN = "dataset"


@dataclass(frozen=True)
class _Figure:
    """A published mean and our trials with its score."""

    entry: Mapping[str, Any]
    ours: Group

    @property
    def score(self) -> str:
        """For instance "c-cos, ensemble"; the layer is named where it is not the embedding."""
        layer, scorer = self.entry["layer"], self.entry["scorer"]
        return str(scorer) if layer == "embedding" else f"{scorer}, {layer}"

    @property
    def passes(self) -> str:
        """Of the encoder for a test image, as the trials counted them."""
        name = "own_passes" if self.entry["layer"] == METHOD else "passes"
        counts = {c for each in self.ours.trials if (c := each.state.get(name)) is not None}
        return " or ".join(f"{count:g}" for count in sorted(counts)) or NONE

    @property
    def networks(self) -> str:
        """Trained for a class and seed: trials that make one detector."""
        detectors = {(each.class_key, each.value("seed")) for each in self.ours.trials}
        return f"{self.ours.n / len(detectors):g}"


def published(results: Results) -> Section | None:
    """Published means beside ours; None where the study names none, or nothing has that score."""
    figures = _figures(results)
    if not figures:
        return None
    fields = list(dict.fromkeys(name for each in figures for name in each.entry["where"]))
    fields = [name for name in fields if name != _NOT_SHOWN]
    blocks: list[Block] = [_means(figures, fields), Text(_note(figures))]
    blocks.append(_classes(results, figures, fields))
    return Section("Against published values", blocks)


def _figures(results: Results) -> list[_Figure]:
    found = []
    for entry in results.about.get("published") or ():
        key = str(entry["layer"]), str(entry["scorer"])
        trials = [
            trial
            for trial in results.finished
            if all(trial.value(str(name)) == value for name, value in entry["where"].items())
        ]
        groups = grouped(trials, lambda _: "", lambda trial, key=key: trial.last.get(key))  # type: ignore[misc]
        if groups:
            found.append(_Figure(entry, groups[""]))
    return found


def _labels(figure: _Figure, fields: list[str]) -> list[Cell]:
    where = figure.entry["where"]
    return [value_text(where[name]) if name in where else "" for name in fields]


def _means(figures: list[_Figure], fields: list[str]) -> Table:
    body: list[list[Cell]] = []
    for each in figures:
        mark = " *" if unlike_the_paper(each.ours.trials) else ""
        body.append(
            [
                *_labels(each, fields),
                each.score,
                (percent(each.entry["auroc"]), str(each.entry["source"])),
                each.ours.lines(),
                verdict(each.ours, each.entry["auroc"]) + mark,
                each.passes,
                each.networks,
            ]
        )
    return Table(
        "Mean AUROC in % over the normal classes, published and ours under the same kind of score "
        "at the last epoch: mean, [95 % interval], number of trials n. Passes of the encoder for a "
        "test image, counted; networks trained for a class and seed.",
        [*map(field_text, fields), "score", "published", "ours", "", "passes", "networks"],
        body,
        labels=len(fields) + 1,
    )


def _note(figures: list[_Figure]) -> str:
    reasons = dict.fromkeys(
        reason for each in figures for reason in unlike_the_paper(each.ours.trials)
    )
    if not reasons:
        return "Epochs, width and classes are the published ones."
    return f"* Not like for like: {'; '.join(reasons)}. The verdict is then no replication."


def _classes(results: Results, figures: list[_Figure], fields: list[str]) -> Table:
    names = results.class_names()
    body: list[list[Cell]] = []
    for each in figures:
        means = [
            percent(class_mean({key: values}) if (values := each.ours.by_class.get(key)) else None)
            for key in names
        ]
        row = [*_labels(each, fields), each.score, *means, percent(each.ours.mean)]
        if row not in body:  # two tables may name one score
            body.append(row)
    return Table(
        "Every normal class: mean AUROC in % over its seeds.",
        [*map(field_text, fields), "score", *names.values(), "mean"],
        body,
        labels=len(fields) + 1,
    )
