"""Ours against the paper's: the same cell, the same score, and whether that compares at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracking.report.cells import Group, grouped
from tracking.report.numbers import percent, value_text
from tracking.report.results import Results
from tracking.report.trials import Trial

WIDTH = 64
BUDGETS = {"simclr": 500, "simclr-shifted": 500, "rotnet": 2048, "droc": 2048, "csi": 1000}
BUDGET = 4000
CLASSES = {"cifar100": 20}  # its superclasses
ALL_CLASSES = 10
TOLERANCE, POLLUTED_TOLERANCE = 0.015, 0.03


@dataclass(frozen=True)
class Comparison:
    """One cell against its published value.

    Attributes:
        published: AUROC in [0, 1].
        scorer: of the published value.
        ours: the cell's trials under the same scorer, or under the headline where it is lacking.
        same_scorer: which of the two.
        unlike: why it is not like for like, in words; empty if it is.
        verdict: "agrees", or how far it is off.
    """

    published: float
    scorer: str
    ours: Group
    same_scorer: bool
    unlike: tuple[str, ...]
    verdict: str

    def lines(self, headline: str) -> tuple[str, ...]:
        """For a table's cell."""
        mark = " *" if self.unlike else ""
        own = (
            f", ours {percent(self.ours.mean)}"
            if self.same_scorer and self.scorer != headline
            else ""
        )
        name = self.scorer.replace("-cos", "-Cos")  # as the paper writes it
        return (f"paper (its {name}) {percent(self.published)}{own}", self.verdict + mark)


def compare(results: Results, trials: list[Trial]) -> Comparison | None:
    """The comparison of a cell's finished trials; None if nothing is published for it."""
    entry = _entry(results, trials[0])
    if entry is None:
        return None
    scorer, published = str(entry.get("scorer", results.headline)), float(entry["auroc"])
    groups = grouped(trials, lambda _: "", lambda trial: trial.final(scorer))
    same = bool(groups) and groups[""].n == len(trials)
    if not same:
        groups = grouped(trials, lambda _: "", lambda trial: trial.final(results.headline))
    ours = groups[""]
    unlike = unlike_the_paper(trials)
    if not same:
        unlike += (f"our score is {results.headline}, the paper's {scorer}",)
    return Comparison(published, scorer, ours, same, unlike, verdict(ours, published))


def _entry(results: Results, trial: Trial) -> Mapping[str, Any] | None:
    """The first published cell all of whose fields a trial has."""
    for entry in results.about.get("paper") or ():
        where = entry.get("where", {})
        if all(trial.value(str(name)) == value for name, value in where.items()):
            return dict(entry)
    return None


def verdict(ours: Group, published: float) -> str:
    """ "agrees", or how far our mean is off."""
    difference = ours.mean - published
    polluted = any((trial.value("pollution") or 0) > 0 for trial in ours.trials)
    tolerance = POLLUTED_TOLERANCE if polluted else TOLERANCE
    within = ours.bounds is not None and ours.bounds[0] <= published <= ours.bounds[1]
    if within or abs(difference) <= tolerance:
        return "agrees"
    return f"{'higher' if difference > 0 else 'lower'} by {100 * abs(difference):.1f}"


def unlike_the_paper(trials: list[Trial]) -> tuple[str, ...]:
    """How these trials differ from the paper's protocol."""
    reasons = []
    lengths, widths, dataset = set(), set(), str(trials[0].value("dataset"))
    for trial in trials:
        wanted = BUDGETS.get(str(trial.value("method")), BUDGET)
        given = f"{value_text(trial.value('budget'))} {trial.value('budget_unit')}"
        if given != f"{wanted} epochs":
            lengths.add(f"{given} instead of {wanted:,} epochs")
        if trial.value("width") != WIDTH:
            widths.add(f"width {value_text(trial.value('width'))} instead of {WIDTH}")
    reasons = [*sorted(lengths), *sorted(widths)]
    all_classes = CLASSES.get(dataset, ALL_CLASSES)
    if (classes := len({trial.class_key for trial in trials})) < all_classes:
        reasons.append(f"{classes} of {all_classes} classes")
    return tuple(reasons)
