"""What the compared field changes, mostly the norm: pairs of trials that differ in it alone."""

from dataclasses import dataclass

from tracking.report.blocks import Block, Cell, Section, Table, Text
from tracking.report.cells import Group, Level, in_order, label, level
from tracking.report.numbers import (
    NONE,
    count,
    field_text,
    p_value,
    percent,
    points,
    points_interval,
    signed,
    value_text,
)
from tracking.report.results import Results
from tracking.report.statistics import effect_size, holm, paired_test, wilcoxon_test
from tracking.report.trials import ClassKey, Trial

_MOST_CLASS_ROWS = 48


@dataclass(frozen=True)
class Contrast:
    """One value of the compared field against the base, over pairs that are equal otherwise.

    Attributes:
        value: that is compared.
        context: the other fields of the arm; None for all of them together.
        pairs: differences of AUROC by class.
    """

    value: str
    context: Level | None
    pairs: Group


def base_value(results: Results) -> str | None:
    """What the others are compared with: "none" if there, else the first; None if alone."""
    found = [value_text(value) for value in results.levels(results.compare)]
    if len(found) < 2:
        return None
    return "none" if "none" in found else found[0]


def context_fields(results: Results) -> list[str]:
    """The arm's fields apart from the compared one."""
    return [name for name in results.arm if name != results.compare]


def contrasts(results: Results) -> list[Contrast]:
    """Each value over all contexts, then in each of them."""
    fields = context_fields(results)
    found: dict[tuple[str, Level | None], Group] = {}
    for variant, base in _pairs(results):
        value = value_text(variant.value(results.compare))
        change = (variant.final(results.headline) or 0.0) - (base.final(results.headline) or 0.0)
        for context in (None, level(variant, fields)):
            found.setdefault((value, context), Group()).add(variant, change)
    order = [value_text(each) for each in results.levels(results.compare)]
    contexts = in_order(results, [c for _, c in found if c is not None], fields)
    keys = [(value, c) for c in (None, *contexts) for value in order if (value, c) in found]
    return [Contrast(value, context, found[value, context]) for value, context in keys]


def norms(results: Results) -> Section | None:
    """Tests over all contexts and in each, then class by class; None without pairs."""
    found = contrasts(results)
    if not found:
        return None
    base, fields = base_value(results), context_fields(results)
    field = field_text(results.compare)
    together = [each for each in found if each.context is None]
    apart = [each for each in found if each.context is not None]
    paired = {trial.trial_id for pair in _pairs(results) for trial in pair}
    alone = len(results.finished) - len(paired)
    said = f" ({count(alone, 'trial')} without a partner left out)" if alone else ""
    blocks: list[Block] = [
        Text(
            f"Each {field} against {field} {base}, in points of AUROC ({results.headline}), over "
            "pairs of trials whose configurations are equal in all else, class and seed "
            f"included{said}. "
            "p: two-sided sign-flip permutation test of the class means (of the pairs, below three "
            "classes), Holm-corrected within a table; with five classes or fewer it cannot fall "
            "below 0.05. d: Cohen's d_z of class means with Hedges' correction."
        ),
        _tests("All settings together.", field, together, []),
    ]
    if len({each.context for each in apart}) > 1:
        blocks.append(_tests("In each setting.", field, apart, fields))
    if len(results.class_names()) > 1:
        shown = found if len(found) <= _MOST_CLASS_ROWS else together
        blocks.append(_by_class(results, shown, fields))
    return Section("Norm variants" if field == "norm" else f"What {field} changes", blocks)


def _pairs(results: Results) -> list[tuple[Trial, Trial]]:
    """Finished trials with the finished trial of the base value that equals them otherwise."""
    base, field = base_value(results), results.compare
    rests = {trial.trial_id: trial.without(field) for trial in results.finished}
    bases = {rests[t.trial_id]: t for t in results.finished if value_text(t.value(field)) == base}
    return [
        (trial, bases[rest])
        for trial in results.finished
        if value_text(trial.value(field)) != base and (rest := rests[trial.trial_id]) in bases
    ]


def _tests(caption: str, field: str, found: list[Contrast], fields: list[str]) -> Table:
    groups = [each.pairs.by_class for each in found]
    p_values = [paired_test(group) for group in groups]
    body: list[list[Cell]] = []
    for each, p, corrected in zip(found, p_values, holm(p_values), strict=True):
        size = effect_size(each.pairs.by_class)
        body.append(
            [
                *([label(fields, each.context or ())] if fields else []),
                each.value,
                (points(size.mean), points_interval(each.pairs.bounds)),
                p_value(p),
                p_value(corrected),
                p_value(wilcoxon_test(each.pairs.by_class)),
                NONE if size.d_z is None else signed(size.d_z),
                f"{percent(size.improved)} %",
                f"{size.pairs}",
            ]
        )
    header = [field, "difference", "p", "p (Holm)", "p (Wilcoxon)", "d", "improved", "pairs"]
    return Table(
        caption, ["setting", *header] if fields else header, body, labels=2 if fields else 1
    )


def _by_class(results: Results, found: list[Contrast], fields: list[str]) -> Table:
    classes = results.class_names()
    one_dataset = len({dataset for dataset, _ in classes}) == 1
    body: list[list[Cell]] = [
        [
            "all" if each.context is None else label(fields, each.context),
            each.value,
            *(_class_cell(each, key) for key in classes),
        ]
        for each in found
    ]
    names = [name if one_dataset else f"{key[0]} {name}" for key, name in classes.items()]
    return Table(
        "Class by class: mean difference in points over the pairs of a class.",
        ["setting", field_text(results.compare), *names],
        body,
        labels=2,
    )


def _class_cell(contrast: Contrast, key: ClassKey) -> str:
    values = contrast.pairs.by_class.get(key)
    return points(sum(values) / len(values)) if values else NONE
