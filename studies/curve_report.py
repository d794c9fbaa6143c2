"""Numbers over epochs: a panel a quantity, a line an arm of the study."""

from dataclasses import dataclass
from typing import Any

from nsa_core import TrialConfig
from studies.markdown import markdown_table, mean
from studies.results import Results
from tracking.pictures import Curves, curves_picture

PANELS = {
    "AUROC": None,  # of the headline score
    "kappa, training images": "kappa_train",
    "linear probe accuracy": "linear_probe",
    "squared MMD to uniform": "mmd_train",
    "alignment of views": "alignment_train",
    "loss": "loss",
}
"""Title of a panel to its column of ``dynamics``."""


@dataclass(frozen=True)
class CurveReport:
    """AUROC and signals of the embedding over epochs, averaged over classes and seeds.

    Attributes:
        arms: the configuration fields that tell lines apart.
        headline: the scorer whose AUROC is drawn.
    """

    arms: tuple[str, ...]
    headline: str

    def about(self) -> dict[str, Any]:
        """How the study reads, as plain values for the store."""
        return {"rows": list(self.arms), "headline": self.headline}

    def tables(self, results: Results) -> str:
        """A table a panel: arms by evaluated epochs."""
        parts = [f"Headline score: **{self.headline}**. Means over classes and seeds, n a line."]
        for title, panel in self._panels(results).items():
            epochs = sorted({epoch for lines in panel.values() for line in lines for epoch in line})
            body = []
            for arm, lines in panel.items():
                values = [mean([line[e] for line in lines if e in line]) for e in epochs]
                cells = ["-" if value is None else f"{value:.4g}" for value in values]
                body.append([arm, str(len(lines)), *cells])
            parts.append(f"{title}, by epoch:")
            parts.append(markdown_table(["arm", "n", *map(str, epochs)], body))
        return "\n\n".join(parts)

    def picture(self, results: Results) -> bytes:
        """A panel a quantity; a thin line a trial, a thick one the mean of an arm."""
        return curves_picture(self._panels(results), f"{self.headline}: {results.scope()}")

    def _panels(self, results: Results) -> dict[str, Curves]:
        """Panel title to arm to one {epoch: value} a finished trial; empty panels left out."""
        panels: dict[str, Curves] = {}
        for title, column in PANELS.items():
            panel: Curves = {}
            for key, config in results.trials.items():
                line = self._line(results, key, column) if key in results.scores else {}
                panel.setdefault(self._arm(config), []).extend([line] if line else [])
            if any(panel.values()):
                panels[title] = panel
        return panels

    def _line(self, results: Results, trial_id: str, column: str | None) -> dict[int, float]:
        if column is None:
            return {
                row["epoch"]: row["auroc"]
                for row in results.scores[trial_id]
                if row["layer"] == "embedding" and row["scorer"] == self.headline
            }
        rows = results.dynamics[trial_id]
        return {row["epoch"]: row[column] for row in rows if row[column] is not None}

    def _arm(self, config: TrialConfig) -> str:
        return " ".join(str(getattr(config, name)) for name in self.arms)
