"""The study's table as in the paper, as a picture, and the same trials under every other score."""

from collections.abc import Mapping

from tracking.report.blocks import Block, Cell, Picture, Pictures, Section, Table, Text
from tracking.report.cells import Group, Level, grouped, in_order, label, level
from tracking.report.numbers import NONE, field_text, percent, value_text
from tracking.report.panels import Cells, HeatMap, Panel, Spread
from tracking.report.results import Results
from tracking.report.sections.paper import Comparison, compare

Key = tuple[Level, Level]
"""Values of the row's fields, and of the column's."""

_MOST_ROWS = 6  # of a picture with a mark a cell; more of them are a heat map


def cells_of(results: Results, scorer: str | None = None) -> dict[Key, Group]:
    """The finished trials by (row, column), AUROC at the last epoch."""
    column = [results.column] if results.column else []
    return grouped(
        results.finished,
        lambda trial: (level(trial, results.rows), level(trial, column)),
        lambda trial: trial.final(scorer or results.headline),
    )


def comparisons(results: Results) -> dict[Key, Comparison]:
    """The cells for which the paper has a value."""
    found = {key: compare(results, group.trials) for key, group in cells_of(results).items()}
    return {key: each for key, each in found.items() if each is not None}


def tables(results: Results) -> Section:
    """Headline table, what the paper's values mean for it, its picture, all scores."""
    cells, paper = cells_of(results), comparisons(results)
    blocks: list[Block] = [_headline_table(results, cells, paper)]
    if paper:
        blocks.append(Text(_paper_note(paper)))
    if len(cells) > 1:
        blocks.append(_picture(results, cells))
    if len(results.scorers) > 1:
        blocks.append(_all_scores(results))
    return Section("Results", blocks)


def _headline_table(
    results: Results, cells: Mapping[Key, Group], paper: Mapping[Key, Comparison]
) -> Table:
    columns = _columns(results)
    body: list[list[Cell]] = []
    for row in _rows(results):
        line: list[Cell] = _row_labels(row)
        for column in columns:
            group, comparison = cells.get((row, column)), paper.get((row, column))
            if group is None:
                line.append(NONE)
                continue
            more = comparison.lines(results.headline) if comparison else ()
            line.append((*group.lines(), *more))
        body.append(line)
    bases = {group.basis for group in cells.values()}
    basis = " or, below three classes, ".join(sorted(bases))
    return Table(
        f"AUROC in % of {results.headline} on the embedding at the last epoch: mean, "
        f"[95 % interval over {basis}], number of trials n.",
        [*_row_header(results), *(_column_name(results, column) for column in columns)],
        body,
        labels=max(1, len(results.rows)),
    )


def _paper_note(paper: Mapping[Key, Comparison]) -> str:
    text = (
        "A cell agrees with the paper when the published value lies within its interval, or within "
        "1.5 points of its mean (3 points where training data are polluted)."
    )
    reasons = dict.fromkeys(reason for each in paper.values() for reason in each.unlike)
    if reasons:
        text += f" * Not like for like: {'; '.join(reasons)}. The verdict is then no replication."
    else:
        text += " Epochs, width and classes are the paper's."
    return text


def _picture(results: Results, cells: Mapping[Key, Group]) -> Pictures:
    rows, columns = _rows(results), _columns(results)
    across = field_text(results.column) if results.column else ""
    names = {row: " ".join(map(value_text, row)) or "all trials" for row in rows}
    heads = {column: " ".join(map(value_text, column)) for column in columns}
    title = f"AUROC in %, {results.headline}"
    panel: Panel
    if len(rows) > _MOST_ROWS:
        means = {
            (rows.index(row), columns.index(column)): group.mean
            for (row, column), group in cells.items()
        }
        down = ", ".join(_row_header(results))
        span = min(means.values()), max(means.values())
        panel = HeatMap(title, (down, [*names.values()]), (across, [*heads.values()]), means, span)
        caption = "The means of the table."
    else:
        panel = Cells(title, across, _spreads(cells, names, heads))
        caption = (
            "The table as a picture: a dot a trial, a bar the mean of a cell, a line its interval."
        )
    said = ", ".join(
        f"{label(results.arm, (*row, *column))} {percent(group.mean)}"
        for (row, column), group in cells.items()
    )
    return Pictures(caption, [Picture("table", panel, f"{title}. {said}.")])


def _spreads(
    cells: Mapping[Key, Group], names: Mapping[Level, str], heads: Mapping[Level, str]
) -> dict[str, dict[str, Spread]]:
    """By column, then by row, in %."""
    found: dict[str, dict[str, Spread]] = {}
    for column, head in heads.items():
        for row, name in names.items():
            if group := cells.get((row, column)):
                values = [100 * v for values in group.by_class.values() for v in values]
                reach = group.reach and (100 * group.reach[0], 100 * group.reach[1])
                found.setdefault(head, {})[name] = Spread(values, 100 * group.mean, reach)
    return found


def _all_scores(results: Results) -> Table:
    column = [results.column] if results.column else []
    by_scorer = {name: cells_of(results, name) for name in results.scorers}
    body: list[list[Cell]] = []
    for row in _rows(results):
        for at in _columns(results):
            groups = [by_scorer[name].get((row, at)) for name in results.scorers]
            if any(groups):
                values = [percent(group.mean if group else None) for group in groups]
                body.append([*_row_labels(row), *map(value_text, at), *values])
    return Table(
        "Every score: mean AUROC in % on the embedding at the last epoch.",
        [*_row_header(results), *map(field_text, column), *results.scorers],
        body,
        labels=max(1, len(results.rows)) + len(column),
    )


def _rows(results: Results) -> list[Level]:
    found = [level(trial, results.rows) for trial in results.trials]
    return in_order(results, found, results.rows)


def _columns(results: Results) -> list[Level]:
    fields = [results.column] if results.column else []
    return in_order(results, [level(trial, fields) for trial in results.trials], fields)


def _row_header(results: Results) -> list[str]:
    return [field_text(name) for name in results.rows] or [""]


def _row_labels(row: Level) -> list[Cell]:
    return [value_text(value) for value in row] or ["all trials"]


def _column_name(results: Results, column: Level) -> str:
    if not results.column:
        return results.headline
    return f"{field_text(results.column)} {value_text(column[0])}"
