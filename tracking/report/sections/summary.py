"""The headline in words: what the study is, how far it got, what it found."""

from collections import Counter

from tracking.report.blocks import Section, Text
from tracking.report.cells import Level, label
from tracking.report.numbers import (
    count,
    field_text,
    listed,
    number,
    p_value,
    percent,
    percent_interval,
    points,
    points_interval,
    value_text,
)
from tracking.report.results import Results
from tracking.report.sections.norms import base_value, contrasts
from tracking.report.sections.signals import absent_text, signal_groups
from tracking.report.sections.tables import cells_of, comparisons
from tracking.report.statistics import holm, paired_test
from tracking.report.versions import left_out

_UNDER_WAY = {"pending", "running"}


def summary(results: Results) -> Section:
    """Scope, state, and the findings as far as there are any."""
    parts = [_scope(results), _state(results), left_out(results.trials, results.headline)]
    if not results.ranked:
        parts += [absent_text(results), _kappas(results)]
    elif results.finished:
        parts += [_extremes(results), _compared(results), _paper(results)]
    return Section("In short", [Text(part) for part in parts if part])


def _scope(results: Results) -> str:
    if not results.trials:
        return "The study has no trials yet."
    classes = list(results.class_names().values())
    seeds = len({trial.value("seed") for trial in results.trials})
    lengths = dict.fromkeys(
        f"{value_text(trial.value('budget'))} {trial.value('budget_unit')}"
        for trial in results.trials
    )
    data = listed([value_text(each) for each in results.levels("dataset")])
    text = (
        f"Data: {data}; normal {'class' if len(classes) == 1 else 'classes'} {listed(classes)}; "
        f"{count(seeds, 'seed')}; {' or '.join(lengths)}."
    )
    if results.ranked:
        text += f" Headline score: {results.headline} on the embedding, at the last epoch."
    if results.varying:
        text += f" What varies: {listed([field_text(name) for name in results.varying])}."
    if results.confounded:
        text += (
            f" Each class has one value of {listed(list(map(field_text, results.confounded)))}, so "
            "its effect cannot be told from theirs."
        )
    return text


def _state(results: Results) -> str:
    states = Counter(trial.status for trial in results.trials)
    total, finished = len(results.trials), states["finished"]
    others = listed([f"{n:,} {status}" for status, n in states.items() if status != "finished"])
    if not total:
        return ""
    if not finished:
        return f"No trial has finished yet: {others} of {count(total, 'trial')}."
    if finished == total:
        return f"All {count(total, 'trial')} have finished." if total > 1 else "The trial finished."
    text = f"{finished:,} of {count(total, 'trial')} have finished; {others}."
    if under_way := sum(states[status] for status in _UNDER_WAY):
        text += (
            f" The study is not complete: {100 * (total - under_way) // total} % of its trials "
            "have ended. Cells may still rest on different classes and seeds; the paired "
            "differences below compare like with like."
        )
    return text


def _kappas(results: Results) -> str:
    kappas = signal_groups(results, "kappa_train")
    ranked = sorted(kappas, key=lambda key: kappas[key].mean)
    if not ranked:
        return ""
    ends = dict.fromkeys((ranked[0], ranked[-1]))
    said = [f"{number(kappas[key].mean)} ({label(results.arm, key)})" for key in ends]
    return f"Mean kappa of the training embeddings at the last epoch: {' to '.join(said)}."


def _extremes(results: Results) -> str:
    cells = cells_of(results)
    ranked = sorted(cells, key=lambda key: cells[key].mean)
    worst, best = ranked[0], ranked[-1]
    text = f"Mean AUROC ({results.headline}) is "
    if len(ranked) == 1:
        return f"{text}{_cell(results, best)}."
    return (
        f"{text}highest for {_name(results, best)}: {_cell(results, best)}; lowest for "
        f"{_name(results, worst)}: {_cell(results, worst)}."
    )


def _name(results: Results, key: tuple[Level, Level]) -> str:
    return label(results.arm, (*key[0], *key[1]))


def _cell(results: Results, key: tuple[Level, Level]) -> str:
    group = cells_of(results)[key]
    classes = count(len(group.by_class), "class", "classes")
    spread = percent_interval(group.bounds)
    return (
        f"{percent(group.mean)} % {spread}".strip()
        + f" over {count(group.n, 'trial')} of {classes}"
    )


def _compared(results: Results) -> str:
    found = [each for each in contrasts(results) if each.context is None]
    if not found:
        return ""
    field = field_text(results.compare)
    corrected = holm([paired_test(each.pairs.by_class) for each in found])
    parts = [
        f"{field} {each.value} {points(each.pairs.mean)} points "
        f"{points_interval(each.pairs.bounds)}".strip()
        + f" (p = {p_value(p)}, {each.pairs.n} pairs)"
        for each, p in zip(found, corrected, strict=True)
    ]
    text = f"Against {field} {base_value(results)}, all else equal: {'; '.join(parts)}."
    return text.replace("p = <", "p <") + " p values are Holm-corrected."


def _paper(results: Results) -> str:
    paper = list(comparisons(results).values())
    if not paper:
        return ""
    agree = sum(each.verdict == "agrees" for each in paper)
    like = sum(not each.unlike for each in paper)
    text = f"{agree} of {count(len(paper), 'cell')} with a published value agree with the paper"
    if like == len(paper):
        return f"{text}; all are like for like."
    return f"{text}; {like or 'none'} of them {'is' if like in (0, 1) else 'are'} like for like."
