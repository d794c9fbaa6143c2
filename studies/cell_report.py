"""One number a cell: rows by columns of a grid, as in the paper's tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studies.markdown import markdown_table, mean, mean_and_error, mean_and_spread, percent
from studies.results import Results
from tracking.pictures import cells_picture


@dataclass(frozen=True)
class CellReport:
    """AUROC of one headline score by two axes, paired differences, and all other scores.

    Attributes:
        rows, columns: the axes that the table shows; rows are compared with the first of them.
        headline: the scorer in the table; the others are given beside it.
        paper: published AUROC in [0, 1] by (dataset, row value, column value), k-Cos.
    """

    rows: str
    columns: str
    headline: str
    paper: Mapping[tuple[str, Any, Any], float] = field(default_factory=dict)

    def tables(self, results: Results) -> str:
        """The headline table, the differences between rows, the other scores."""
        return "\n\n".join([self._headline(results), self._paired(results), self._others(results)])

    def picture(self, results: Results) -> bytes:
        """The headline table as bars, a dot a trial."""
        cells = {
            str(column): {
                str(row): self._cell(results, row, column, self.headline)
                for row in results.levels(self.rows)
            }
            for column in results.levels(self.columns)
        }
        title = f"{self.headline}: {results.scope()}"
        return cells_picture(cells, self.rows, self.columns.replace("_", " "), title)

    def _headline(self, results: Results) -> str:
        dataset = results.levels("dataset")[0]
        columns = results.levels(self.columns)
        with_paper = any(key[0] == dataset for key in self.paper)
        header = [self.rows]
        for column in columns:
            header.append(f"{self.columns.replace('_', ' ')} {column}")
            if with_paper:
                header.append("paper (k-cos)")
        body = []
        for row in results.levels(self.rows):
            line = [str(row)]
            for column in columns:
                line.append(mean_and_spread(self._cell(results, row, column, self.headline)))
                if with_paper:
                    line.append(percent(self.paper.get((dataset, str(row), column))))
            body.append(line)
        caption = (
            f"Headline score: **{self.headline}**. AUROC in %, mean ± standard deviation over "
            "classes and seeds (n), last epoch."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _paired(self, results: Results) -> str:
        """How far each row is from the first, comparing like with like: same class and seed."""
        first, *rows = results.levels(self.rows)
        columns = results.levels(self.columns)
        body = []
        for row in rows:
            line = [f"{row} - {first}"]
            for column in columns:
                base, other = (self._by_pair(results, level, column) for level in (first, row))
                both = sorted(base.keys() & other.keys())
                line.append(mean_and_error([other[pair] - base[pair] for pair in both]))
            body.append(line)
        header = [self.rows, *(f"{self.columns.replace('_', ' ')} {each}" for each in columns)]
        caption = (
            f"Difference to {self.rows} {first}, in points of AUROC, over pairs of the same class "
            "and seed: mean ± standard error (pairs)."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _others(self, results: Results) -> str:
        scorers = sorted({name for key in results.scores for name in results.final(key)})
        header = [self.rows, self.columns.replace("_", " "), *scorers]
        body = [
            [
                str(row),
                str(column),
                *(percent(mean(self._cell(results, row, column, name))) for name in scorers),
            ]
            for column in results.levels(self.columns)
            for row in results.levels(self.rows)
        ]
        return "All scores, mean AUROC in %:\n\n" + markdown_table(header, body)

    def _by_pair(self, results: Results, row: Any, column: Any) -> dict[tuple[int, int], float]:
        """The headline score of a cell's trials by class and seed."""
        return {
            (results.trials[key].normal_class, results.trials[key].seed): results.final(key)[
                self.headline
            ]
            for key in self._finished(results, row, column)
        }

    def _cell(self, results: Results, row: Any, column: Any, scorer: str) -> list[float]:
        return [results.final(key)[scorer] for key in self._finished(results, row, column)]

    def _finished(self, results: Results, row: Any, column: Any) -> list[str]:
        """Ids of the finished trials of a cell."""
        return [
            key
            for key, config in results.trials.items()
            if key in results.scores
            and getattr(config, self.rows) == row
            and getattr(config, self.columns) == column
        ]
