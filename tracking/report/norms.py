"""What normalisation changes: pairs of trials that differ in the norm alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tracking.report.blocks import Block, Cell, Section, Table, Text
from tracking.report.cells import Group, Level, in_order, label, level
from tracking.report.numbers import (
    NONE,
    p_value,
    percent,
    points,
    points_interval,
    signed,
    value_text,
)
from tracking.report.results import ClassKey, Results, Trial
from tracking.statistics import effect_size, holm, paired_test, wilcoxon_test

_MOST_CLASS_ROWS = 48


@dataclass(frozen=True)
class Contrast:
    """One norm against the base, over pairs that are equal otherwise.

    Attributes:
        norm: the variant.
        context: the other fields of the arm; None for all of them together.
        pairs: differences of AUROC by class.
    """

    norm: str
    context: Level | None
    pairs: Group


def base_norm(results: Results) -> str | None:
    """What the others are compared with: "none" if there, else the first; None if alone."""
    found = [value_text(value) for value in results.levels("norm")]
    if len(found) < 2:
        return None
    return "none" if "none" in found else found[0]


def context_fields(results: Results) -> list[str]:
    """The arm's fields apart from the norm."""
    return [name for name in [*results.rows, results.column] if name and name != "norm"]


def contrasts(results: Results) -> list[Contrast]:
    """Each norm over all contexts, then in each of them."""
    fields = context_fields(results)
    found: dict[tuple[str, Level | None], Group] = {}
    for variant, base in _pairs(results):
        norm = value_text(variant.value("norm"))
        change = (variant.final(results.headline) or 0.0) - (base.final(results.headline) or 0.0)
        for context in (None, level(variant, fields)):
            found.setdefault((norm, context), Group()).add(variant, change)
    order = [value_text(value) for value in results.levels("norm")]
    contexts = in_order(results, [c for _, c in found if c is not None], fields)
    keys = [(norm, c) for c in (None, *contexts) for norm in order if (norm, c) in found]
    return [Contrast(norm, context, found[norm, context]) for norm, context in keys]


def norms(results: Results) -> Section | None:
    """Tests over all contexts and in each, then class by class; None without pairs."""
    found = contrasts(results)
    if not found:
        return None
    base, fields = base_norm(results), context_fields(results)
    together = [each for each in found if each.context is None]
    apart = [each for each in found if each.context is not None]
    blocks: list[Block] = [
        Text(
            f"Each norm against norm {base}, in points of AUROC ({results.headline}), over pairs "
            "of trials whose configurations are equal in all else, class and seed included. p: "
            "two-sided sign-flip permutation test of the class means (of the pairs, below three "
            "classes), Holm-corrected within a table; with five classes or fewer it cannot fall "
            "below 0.05. d: Cohen's d_z of class means with Hedges' correction."
        ),
        _tests("All settings together.", together, []),
    ]
    if len({each.context for each in apart}) > 1:
        blocks.append(_tests("In each setting.", apart, fields))
    if len(results.class_names()) > 1:
        shown = found if len(found) <= _MOST_CLASS_ROWS else together
        blocks.append(_by_class(results, shown, fields))
    return Section("Norm variants", blocks)


def _pairs(results: Results) -> list[tuple[Trial, Trial]]:
    """Finished trials with the finished trial of the base norm that equals them otherwise."""
    base = base_norm(results)
    bases = {_rest(t): t for t in results.finished if value_text(t.value("norm")) == base}
    return [
        (trial, bases[_rest(trial)])
        for trial in results.finished
        if value_text(trial.value("norm")) != base and _rest(trial) in bases
    ]


def _rest(trial: Trial) -> str:
    rest: Mapping[str, object] = {k: v for k, v in trial.config.items() if k != "norm"}
    return json.dumps(rest, sort_keys=True)


def _tests(caption: str, found: list[Contrast], fields: list[str]) -> Table:
    groups = [each.pairs.by_class for each in found]
    p_values = [paired_test(group) for group in groups]
    body: list[list[Cell]] = []
    for each, p, corrected in zip(found, p_values, holm(p_values), strict=True):
        size = effect_size(each.pairs.by_class)
        body.append(
            [
                *([label(fields, each.context or ())] if fields else []),
                each.norm,
                (points(size.mean), points_interval(each.pairs.bounds)),
                p_value(p),
                p_value(corrected),
                p_value(wilcoxon_test(each.pairs.by_class)),
                NONE if size.d_z is None else signed(size.d_z),
                f"{percent(size.improved)} %",
                f"{size.pairs}",
            ]
        )
    header = ["norm", "difference", "p", "p (Holm)", "p (Wilcoxon)", "d", "improved", "pairs"]
    return Table(
        caption, ["setting", *header] if fields else header, body, labels=2 if fields else 1
    )


def _by_class(results: Results, found: list[Contrast], fields: list[str]) -> Table:
    classes = results.class_names()
    one_dataset = len({dataset for dataset, _ in classes}) == 1
    body: list[list[Cell]] = [
        [
            "all" if each.context is None else label(fields, each.context),
            each.norm,
            *(_class_cell(each, key) for key in classes),
        ]
        for each in found
    ]
    names = [name if one_dataset else f"{key[0]} {name}" for key, name in classes.items()]
    return Table(
        "Class by class: mean difference in points over the pairs of a class.",
        ["setting", "norm", *names],
        body,
        labels=2,
    )


def _class_cell(contrast: Contrast, key: ClassKey) -> str:
    values = contrast.pairs.by_class.get(key)
    return points(sum(values) / len(values)) if values else NONE
