"""What pollution costs: AUROC against the outliers' share p of the training set."""

from dataclasses import dataclass
from typing import Any

from studies.cell_report import ByPair, CellReport, Row, differences, label
from studies.markdown import markdown_table, mean, mean_and_interval, percent
from studies.results import Results
from tracking.report.markdown import escaped
from tracking.statistics import slope


@dataclass(frozen=True)
class PollutionReport:
    """The cells of arms by p, the slope of each arm, and the class that suffers most.

    Attributes:
        cells: the table; its columns are the shares p.
    """

    cells: CellReport

    def about(self) -> dict[str, Any]:
        """How the table reads, as plain values for the store."""
        return self.cells.about()

    def tables(self, results: Results) -> str:
        """Slopes and worst classes, between the cells and all other scores."""
        found = self.cells.cells(results)
        return "\n\n".join([self._slopes(results, found), self.cells.tables(results)])

    def picture(self, results: Results) -> bytes:
        """The cells."""
        return self.cells.picture(results)

    def _slopes(self, results: Results, cells: dict[tuple[Row, Any], ByPair]) -> str:
        rows = self.cells.row_levels(results)
        shares = sorted(results.levels("pollution"))
        slopes = {row: self._slope_by_pair(row, cells) for row in rows}
        body = [
            [
                label(row),
                mean_and_interval(slopes[row], signed=True),
                *(_worst_class(results, cells.get((row, p), {})) for p in shares),
            ]
            for row in rows
        ]
        for name, row, base in self.cells.compared(rows):
            gained = differences(slopes[row], slopes[base])
            body.append([name, mean_and_interval(gained, signed=True), *("" for _ in shares)])
        header = ["arm", "slope", *(f"worst class, p = {p:g}" for p in shares)]
        caption = (
            "What pollution costs: least-squares slope of AUROC against p, in points for each 10 % "
            "of outliers, mean [95 % interval] over classes and seeds (n), the difference that "
            f"{self.cells.compare} makes to it, and the class with the lowest mean over seeds."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _slope_by_pair(self, row: Row, cells: dict[tuple[Row, Any], ByPair]) -> ByPair:
        """Change of AUROC for p = 0.1 more, for the classes and seeds that have several p."""
        curves: dict[tuple[int, int], dict[float, float]] = {}
        for (each, pollution), values in cells.items():
            if each == row:
                for pair, value in values.items():
                    curves.setdefault(pair, {})[pollution] = value
        return {
            pair: 0.1 * change
            for pair, curve in curves.items()
            if (change := slope([*curve], [*curve.values()])) is not None
        }


def _worst_class(results: Results, values: ByPair) -> str:
    by_class: dict[int, list[float]] = {}
    for (index, _), value in values.items():
        by_class.setdefault(index, []).append(value)
    if not by_class:
        return "-"
    worst = min(by_class, key=lambda index: mean(by_class[index]) or 0.0)
    return f"{escaped(results.class_names[worst])} {percent(mean(by_class[worst]))}"
