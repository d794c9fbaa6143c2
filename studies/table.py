"""The table of a study, as in the paper, from the rows of its store."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from nsa_core import TrialConfig
from studies.study import Study
from tracking import Store

_EXCLUDED = ("collapsed", "diverged", "failed", "pending", "running")


def study_table(store: Store, study: Study, trials: dict[str, TrialConfig]) -> str:
    """Markdown: the headline table, the other scores, and every trial that is not in the means."""
    states = {key: store.trial(key).state() for key in trials}
    values = _final_scores(
        store, [k for k, state in states.items() if state["status"] == "finished"]
    )
    configs = list(trials.values())
    dataset, classes = configs[0].dataset, sorted({c.normal_class for c in configs})
    names = [_class_name(store, trials, index) for index in classes]
    seeds = len({config.seed for config in configs})
    title = (
        f"{study.title}. {dataset}, class{'es' * (len(classes) > 1)} {', '.join(names)}, "
        f"{seeds} seed{'s' * (seeds > 1)}, {configs[0].budget} {configs[0].budget_unit}."
    )
    parts = [
        title,
        _headline(study, dataset, trials, values),
        _others(study, trials, values),
        _excluded(trials, states),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(
    study: Study, dataset: str, trials: dict[str, TrialConfig], values: dict[str, dict[str, float]]
) -> str:
    rows = _levels(trials, study.rows)
    columns = _levels(trials, study.columns)
    with_paper = any(key[0] == dataset for key in study.paper)
    header = [study.rows]
    for column in columns:
        header.append(f"{study.columns.replace('_', ' ')} {column}")
        if with_paper:
            header.append("paper (k-cos)")
    body = []
    for row in rows:
        line = [str(row)]
        for column in columns:
            cell = {study.rows: row, study.columns: column}
            line.append(_mean_and_spread(_cell(trials, values, cell, study.headline)))
            if with_paper:
                line.append(_percent(study.paper.get((dataset, str(row), column))))
        body.append(line)
    caption = (
        f"Headline score: **{study.headline}**. AUROC in %, mean ± standard deviation over classes "
        "and seeds (n), last epoch."
    )
    return caption + "\n\n" + _markdown(header, body)


def _others(
    study: Study, trials: dict[str, TrialConfig], values: dict[str, dict[str, float]]
) -> str:
    scorers = sorted({name for scores in values.values() for name in scores})
    if not scorers:
        return "No trial has finished yet."
    header = [study.rows, study.columns.replace("_", " "), *scorers]
    body = []
    for column in _levels(trials, study.columns):
        for row in _levels(trials, study.rows):
            cell = {study.rows: row, study.columns: column}
            means = [_mean(_cell(trials, values, cell, name)) for name in scorers]
            body.append([str(row), str(column), *map(_percent, means)])
    return "All scores, mean AUROC in %:\n\n" + _markdown(header, body)


def _excluded(trials: dict[str, TrialConfig], states: dict[str, dict[str, Any]]) -> str:
    lines = []
    for status in _EXCLUDED:
        for key, state in states.items():
            if state["status"] == status:
                config = trials[key]
                cell = (
                    f"{config.method} norm {config.norm.value}, batch {config.batch_size}, "
                    f"class {config.normal_class}, p {config.pollution:g}, seed {config.seed}"
                )
                message = f": {state['message']}" if state.get("message") else ""
                lines.append(f"- {status}: {cell} ({key}){message}")
    return "Not in the means:\n\n" + "\n".join(lines) if lines else ""


def _final_scores(store: Store, keys: Iterable[str]) -> dict[str, dict[str, float]]:
    """AUROC of each scorer on the embedding at the last epoch, by trial."""
    final: dict[str, dict[str, float]] = {}
    for key in keys:
        rows = [row for row in store.trial(key).scores().to_pylist() if row["layer"] == "embedding"]
        last = max(row["epoch"] for row in rows)
        final[key] = {row["scorer"]: row["auroc"] for row in rows if row["epoch"] == last}
    return final


def _levels(trials: dict[str, TrialConfig], axis: str) -> list[Any]:
    return list(dict.fromkeys(getattr(config, axis) for config in trials.values()))


def _cell(
    trials: dict[str, TrialConfig],
    values: dict[str, dict[str, float]],
    cell: dict[str, Any],
    scorer: str,
) -> list[float]:
    return [
        scores[scorer]
        for key, scores in values.items()
        if scorer in scores and all(getattr(trials[key], a) == v for a, v in cell.items())
    ]


def _class_name(store: Store, trials: dict[str, TrialConfig], index: int) -> str:
    key = next(key for key, config in trials.items() if config.normal_class == index)
    return str(store.trial(key).definition()["class_name"])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = _percent(_mean(values))
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean}{spread} ({len(values)})"


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up also as plain text."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, body)])
