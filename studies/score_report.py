"""Every score on every layer of the same trained networks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nsa_core.methods import LAYERS
from studies.markdown import markdown_table, mean, percent
from studies.results import Results
from tracking.pictures import heat_picture

_LAYERS = (*LAYERS, "ensemble")


@dataclass(frozen=True)
class ScoreReport:
    """Mean AUROC at the last epoch, scores by layers, a table an arm of the study.

    Attributes:
        arms: the configuration fields that tell tables apart.
    """

    arms: tuple[str, ...]

    def about(self) -> dict[str, Any]:
        """How the study reads, as plain values for the store."""
        return {"rows": list(self.arms)}

    def tables(self, results: Results) -> str:
        """Scorers by layers; "ensemble" adds up scores of the encoder's layers."""
        parts = ["AUROC in %, mean over classes and seeds (n), last epoch."]
        for arm, (cells, count) in self._arms(results).items():
            layers = _layers(cells)
            scorers = sorted({scorer for _, scorer in cells})
            body = [
                [scorer, *(percent(cells.get((layer, scorer))) for layer in layers)]
                for scorer in scorers
            ]
            parts.append(f"**{arm}** (n = {count})")
            parts.append(markdown_table(["score", *layers], body))
        return "\n\n".join(parts)

    def picture(self, results: Results) -> bytes:
        """The same as heat maps."""
        maps = {arm: cells for arm, (cells, _) in self._arms(results).items()}
        layers = _layers(cell for cells in maps.values() for cell in cells)
        return heat_picture(maps, layers, f"AUROC in %: {results.scope()}")

    def _arms(self, results: Results) -> dict[str, tuple[dict[tuple[str, str], float], int]]:
        """Arm to mean AUROC by (layer, scorer), and the number of finished trials."""
        values: dict[str, dict[tuple[str, str], list[float]]] = {}
        counts: dict[str, int] = {}
        for key, config in results.trials.items():
            arm = ", ".join(f"{name} {_shown(getattr(config, name))}" for name in self.arms)
            cells = values.setdefault(arm, {})
            counts.setdefault(arm, 0)
            if key not in results.scores:
                continue
            counts[arm] += 1
            last = results.dynamics[key][-1]["epoch"]
            for row in results.scores[key]:
                if row["epoch"] == last:
                    cells.setdefault((row["layer"], row["scorer"]), []).append(row["auroc"])
        return {
            arm: ({cell: mean(each) or 0.0 for cell, each in cells.items()}, counts[arm])
            for arm, cells in values.items()
            if cells
        }


def _layers(cells: Iterable[tuple[str, str]]) -> list[str]:
    """The layers of these (layer, scorer), from the input on."""
    found = {layer for layer, _ in cells}
    return [layer for layer in _LAYERS if layer in found]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
