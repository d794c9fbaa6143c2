"""Which trials share a line of a picture, and which lines share a panel."""

from collections.abc import Iterable

from tracking.report.cells import Level, in_order, level
from tracking.report.numbers import field_text, listed, value_text
from tracking.report.results import Results
from tracking.report.trials import Trial

_MOST_LINES, _MOST_PANELS = 16, 4


def line_fields(results: Results, without: Iterable[str] = ()) -> list[str]:
    """The fields that tell lines apart: those that the study names, at most 16 combinations."""
    fields = [name for name in results.rows if name in results.named_rows] or list(results.rows)
    fields = [name for name in fields if name not in set(without)]
    while len({level(trial, fields) for trial in results.finished}) > _MOST_LINES:
        fields = fields[:-1]
    return fields


def panel_fields(results: Results, without: Iterable[str] = ()) -> list[str]:
    """The field that has a panel a value: the table's columns, if they are few."""
    column = results.column
    few = column is not None and len(results.levels(column)) <= _MOST_PANELS
    return [column] if column and few and column not in set(without) else []


def averaged_over(results: Results, shown: Iterable[str]) -> str:
    """What a picture averages over beside class and seed, as the end of a sentence."""
    hidden = [name for name in results.arm if name not in set(shown)]
    if not hidden:
        return "."
    parts = [
        f"{field_text(name)} ({', '.join(map(value_text, results.levels(name)))})"
        for name in hidden
    ]
    return f"; trials that differ in {listed(parts)} are averaged too."


def levels_of(results: Results, trials: Iterable[Trial], fields: list[str]) -> list[Level]:
    """The combinations that trials have, in order."""
    return in_order(results, (level(trial, fields) for trial in trials), fields)


def line_name(values: Level) -> str:
    """Values alone, for the end of a line."""
    return " ".join(map(value_text, values)) or "all"


def panel_name(fields: list[str], values: Level) -> str:
    """Empty without a field."""
    pairs = zip(fields, values, strict=True)
    return ", ".join(f"{field_text(name)} {value_text(value)}" for name, value in pairs)
