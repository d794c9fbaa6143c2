"""The table of a study, as in the paper, from the rows of its store."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from nsa_core import TrialConfig
from studies.study import Study
from tracking import Store
from tracking.pictures import cells_picture

_EXCLUDED = ("collapsed", "diverged", "failed", "pending", "running")


def study_table(store: Store, study: Study, trials: dict[str, TrialConfig]) -> str:
    """Markdown: the headline table, the other scores, and every trial that is not in the means."""
    states = {key: store.trial(key).state() for key in trials}
    values = _final_scores(store, states)
    dataset = next(iter(trials.values())).dataset
    parts = [
        _title(store, study, trials),
        _headline(study, dataset, trials, values),
        _paired(study, trials, values),
        _others(study, trials, values),
        _excluded(trials, states),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def study_picture(store: Store, study: Study, trials: dict[str, TrialConfig]) -> bytes:
    """The headline table as a PNG, a dot a trial."""
    states = {key: store.trial(key).state() for key in trials}
    values = _final_scores(store, states)
    cells = {
        str(column): {
            str(row): _cell(
                trials, values, {study.rows: row, study.columns: column}, study.headline
            )
            for row in _levels(trials, study.rows)
        }
        for column in _levels(trials, study.columns)
    }
    title = f"{study.headline}: {_title(store, study, trials)}"
    return cells_picture(cells, study.rows, study.columns.replace("_", " "), title)


def _title(store: Store, study: Study, trials: dict[str, TrialConfig]) -> str:
    configs = list(trials.values())
    classes = sorted({config.normal_class for config in configs})
    names = [_class_name(store, trials, index) for index in classes]
    seeds = len({config.seed for config in configs})
    return (
        f"{study.title}. {configs[0].dataset}, class{'es' * (len(classes) > 1)} "
        f"{', '.join(names)}, {seeds} seed{'s' * (seeds > 1)}, "
        f"{configs[0].budget} {configs[0].budget_unit}."
    )


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


def _paired(
    study: Study, trials: dict[str, TrialConfig], values: dict[str, dict[str, float]]
) -> str:
    """How far each row is from the first, comparing like with like: the same class and seed."""
    first, *rows = _levels(trials, study.rows)
    columns = _levels(trials, study.columns)
    body = []
    for row in rows:
        line = [f"{row} - {first}"]
        for column in columns:
            scores = [
                {
                    (trials[key].normal_class, trials[key].seed): each[study.headline]
                    for key, each in values.items()
                    if getattr(trials[key], study.rows) == level
                    and getattr(trials[key], study.columns) == column
                }
                for level in (first, row)
            ]
            both = scores[0].keys() & scores[1].keys()
            line.append(_difference([scores[1][key] - scores[0][key] for key in sorted(both)]))
        body.append(line)
    header = [study.rows, *(f"{study.columns.replace('_', ' ')} {each}" for each in columns)]
    caption = (
        f"Difference to {study.rows} {first}, in points of AUROC, over pairs of the same class and "
        "seed: mean ± standard error (pairs)."
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


def _final_scores(store: Store, states: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """AUROC of each scorer on the embedding at the last epoch, by finished trial."""
    final: dict[str, dict[str, float]] = {}
    for key in (key for key, state in states.items() if state["status"] == "finished"):
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


def _difference(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = 100 * math.fsum(values) / len(values)
    if len(values) == 1:
        return f"{mean:+.2f} (1)"
    error = 100 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} ± {error:.2f} ({len(values)})"


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
