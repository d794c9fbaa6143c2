"""One number a cell: rows by columns of a grid, as in the paper's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsa_core import TrialConfig
from studies.markdown import markdown_table, mean, mean_and_interval, percent
from studies.results import Results
from tracking.pictures import cells_picture, heat_picture

Row = tuple[Any, ...]
ByPair = dict[tuple[int, int], float]
"""(class, seed) to a number."""

_MOST_BARS = 6  # rows; more of them are a heat map


@dataclass(frozen=True)
class CellReport:
    """AUROC of one headline score by two axes, paired differences, and all other scores.

    Attributes:
        rows: the configuration fields that tell rows apart.
        columns: the field that tells columns apart.
        headline: the scorer in the table; the others are given beside it.
        compare: the field of ``rows`` whose first value the others are compared with, all else
            being equal.
        paper: published AUROC in [0, 1] by (data set, *row, column), k-Cos.
    """

    rows: tuple[str, ...]
    columns: str
    headline: str
    compare: str = "norm"
    paper: Mapping[tuple[Any, ...], float] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """How the table reads, as plain values for the store."""
        names = ("dataset", *self.rows, self.columns)
        paper = [
            {"where": dict(zip(names, cell, strict=True)), "scorer": "k-cos", "auroc": value}
            for cell, value in self.paper.items()
        ]
        return {
            "rows": list(self.rows),
            "columns": self.columns,
            "headline": self.headline,
            "paper": paper,
        }

    def tables(self, results: Results) -> str:
        """The headline table, the differences between rows, the other scores."""
        return "\n\n".join([self._headline(results), self._paired(results), self._others(results)])

    def picture(self, results: Results) -> bytes:
        """The headline table: bars with a dot a trial, or a heat map if there are many rows."""
        cells, rows, columns = self.cells(results), self.row_levels(results), self._columns(results)
        title = f"{self.headline}: {results.scope()}"
        if len(rows) > _MOST_BARS:
            values = {
                (str(column), label(row)): mean([*cells[row, column].values()])
                for row, column in cells
            }
            known = {cell: value for cell, value in values.items() if value is not None}
            by = f"{' '.join(self.rows)} by {self.columns}"
            return heat_picture({by: known}, [*map(str, columns)], title)
        bars = {
            str(column): {label(row): [*cells.get((row, column), {}).values()] for row in rows}
            for column in columns
        }
        return cells_picture(bars, " ".join(self.rows), self.columns.replace("_", " "), title)

    def row_of(self, config: TrialConfig) -> Row:
        """The row that a trial belongs to."""
        return tuple(getattr(config, name) for name in self.rows)

    def row_levels(self, results: Results) -> list[Row]:
        """The rows, in the order of the grid."""
        return list(dict.fromkeys(self.row_of(config) for config in results.trials.values()))

    def cells(self, results: Results, scorer: str | None = None) -> dict[tuple[Row, Any], ByPair]:
        """AUROC at the last epoch of the finished trials of each cell that has any."""
        found: dict[tuple[Row, Any], ByPair] = {}
        for key in results.scores:
            config = results.trials[key]
            cell = found.setdefault((self.row_of(config), getattr(config, self.columns)), {})
            cell[config.normal_class, config.seed] = results.final(key)[scorer or self.headline]
        return found

    def compared(self, rows: Sequence[Row]) -> list[tuple[str, Row, Row]]:
        """A name, a row, and the row that it is compared with."""
        place = self.rows.index(self.compare)
        base = rows[0][place]
        found = []
        for row in rows:
            reference = (*row[:place], base, *row[place + 1 :])
            if row != reference and reference in rows:
                others = label(row[:place] + row[place + 1 :])
                found.append((f"{row[place]} - {base} {others}".strip(), row, reference))
        return found

    def _headline(self, results: Results) -> str:
        cells, columns = self.cells(results), self._columns(results)
        dataset = results.levels("dataset")[0]
        with_paper = any(key[0] == dataset for key in self.paper)
        header = [" ".join(self.rows)]
        for column in columns:
            header.append(f"{self.columns.replace('_', ' ')} {column}")
            if with_paper:
                header.append("paper (k-cos)")
        body = []
        for row in self.row_levels(results):
            line = [label(row)]
            for column in columns:
                line.append(mean_and_interval(cells.get((row, column), {})))
                if with_paper:
                    names = (str(value) for value in row)
                    line.append(percent(self.paper.get((dataset, *names, column))))
            body.append(line)
        caption = (
            f"Headline score: **{self.headline}**. AUROC in %, mean [95 % interval] over classes "
            "and seeds (n), last epoch."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _paired(self, results: Results) -> str:
        """How far rows are from those they compare with, like with like: same class and seed."""
        cells, columns = self.cells(results), self._columns(results)
        body = [
            [
                name,
                *(
                    mean_and_interval(
                        differences(cells.get((row, c), {}), cells.get((base, c), {})), signed=True
                    )
                    for c in columns
                ),
            ]
            for name, row, base in self.compared(self.row_levels(results))
        ]
        header = [self.compare, *(f"{self.columns.replace('_', ' ')} {each}" for each in columns)]
        caption = (
            f"Difference that {self.compare} makes, in points of AUROC, over pairs of the same "
            "class and seed: mean [95 % interval] (pairs)."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _others(self, results: Results) -> str:
        scorers = sorted({name for key in results.scores for name in results.final(key)})
        by_scorer = {name: self.cells(results, name) for name in scorers}
        header = [*self.rows, self.columns.replace("_", " "), *scorers]
        body = [
            [
                *map(str, row),
                str(column),
                *(percent(mean([*by_scorer[s].get((row, column), {}).values()])) for s in scorers),
            ]
            for column in self._columns(results)
            for row in self.row_levels(results)
        ]
        return "All scores, mean AUROC in %:\n\n" + markdown_table(header, body)

    def _columns(self, results: Results) -> list[Any]:
        return results.levels(self.columns)


def differences(values: ByPair, base: ByPair) -> ByPair:
    """Values minus the base's, for the classes and seeds that both have."""
    return {pair: values[pair] - base[pair] for pair in sorted(values.keys() & base.keys())}


def label(row: Row) -> str:
    """A row in words."""
    return " ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in row)
