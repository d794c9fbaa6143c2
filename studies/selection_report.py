"""What choosing without test labels was worth: correlation with AUROC, and regret."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nsa_core import TrialConfig
from studies.markdown import markdown_table, mean, percent
from studies.results import Results
from studies.selection import SIGNALS, SignalRows, best_epoch, best_trial, goodness, last_value
from tracking.pictures import scatter_picture
from tracking.statistics import spearman


@dataclass(frozen=True)
class SelectionReport:
    """Signals against test AUROC over the trials of a search.

    Selections are made first, from signals alone; only then is test AUROC read.

    Attributes:
        fields: of the configuration that the search varies, shown for the chosen trials.
        headline: the scorer whose AUROC is meant.
    """

    fields: tuple[str, ...]
    headline: str

    def about(self) -> dict[str, Any]:
        """How the study reads, as plain values for the store."""
        return {"rows": list(self.fields), "headline": self.headline}

    def tables(self, results: Results) -> str:
        """Configurations by signal, then epochs by signal."""
        signals = {key: results.signals(key) for key in results.scores}
        chosen = {name: best_trial(signals, name) for name in SIGNALS}
        epochs = {
            name: {key: best_epoch(rows, name) for key, rows in signals.items()} for name in SIGNALS
        }
        auroc = {key: self._curve(results, key) for key in signals}  # selections are made
        last = {key: curve[max(curve)] for key, curve in auroc.items()}
        return "\n\n".join(
            [
                self._configurations(results.trials, signals, chosen, last),
                self._early_stopping(epochs, auroc, last),
            ]
        )

    def picture(self, results: Results) -> bytes:
        """Test AUROC against every signal, a dot a finished trial."""
        panels: dict[str, list[tuple[float, float]]] = {}
        for key in results.scores:
            curve, signals = self._curve(results, key), results.signals(key)
            for name in SIGNALS:
                value = last_value(signals, name)
                if value is not None:
                    panels.setdefault(name, []).append((value, curve[max(curve)]))
        return scatter_picture(panels, f"test AUROC in % against signals: {results.scope()}")

    def _configurations(
        self,
        trials: Mapping[str, TrialConfig],
        signals: Mapping[str, SignalRows],
        chosen: Mapping[str, str | None],
        last: Mapping[str, float],
    ) -> str:
        oracle = max(last, key=lambda key: (last[key], key))
        body = []
        for name, key in chosen.items():
            if key is None:
                continue
            pairs = [
                (goodness(value, name), last[each])
                for each, rows in signals.items()
                if (value := last_value(rows, name)) is not None
            ]
            correlation = spearman(*zip(*pairs, strict=True)) if len(pairs) > 2 else None
            rank = "-" if correlation is None else f"{correlation:+.2f}"
            body.append([name, rank, str(len(pairs)), *self._choice(trials, key, last, oracle)])
        body.append(["any at random", "", str(len(last)), percent(mean([*last.values()]))])
        body[-1] += [percent(last[oracle] - (mean([*last.values()]) or 0.0)), "the mean"]
        body.append(["oracle", "", str(len(last)), *self._choice(trials, oracle, last, oracle)])
        header = ["signal", "rank correlation", "n", "AUROC", "regret", ", ".join(self.fields)]
        caption = (
            f"Choosing a configuration at the last epoch. Score **{self.headline}**; AUROC in %, "
            "read after the selection. The rank correlation (Spearman) is that of the signal, "
            "turned so that higher is taken for better, with AUROC over the finished trials; the "
            "regret is what the oracle, who sees test labels, would have gained."
        )
        return caption + "\n\n" + markdown_table(header, body)

    def _choice(
        self, trials: Mapping[str, TrialConfig], key: str, last: Mapping[str, float], oracle: str
    ) -> list[str]:
        plain = trials[key].to_dict()
        values = ", ".join(_shown(_at(plain, name)) for name in self.fields)
        return [percent(last[key]), percent(last[oracle] - last[key]), values]

    def _early_stopping(
        self,
        epochs: Mapping[str, Mapping[str, int | None]],
        auroc: Mapping[str, Mapping[int, float]],
        last: Mapping[str, float],
    ) -> str:
        best = {key: max(curve.values()) for key, curve in auroc.items()}
        body = []
        for name, by_trial in epochs.items():
            stopped = {key: auroc[key][epoch] for key, epoch in by_trial.items() if epoch}
            if stopped:
                body.append(
                    [
                        name,
                        str(len(stopped)),
                        percent(mean([*stopped.values()])),
                        percent(mean([best[key] - value for key, value in stopped.items()])),
                    ]
                )
        body.append(["last epoch", str(len(last)), percent(mean([*last.values()]))])
        body[-1].append(percent(mean([best[key] - value for key, value in last.items()])))
        caption = (
            "Choosing an epoch of each finished trial among those evaluated: mean AUROC there, and "
            "mean regret against the best epoch."
        )
        return caption + "\n\n" + markdown_table(["signal", "n", "AUROC", "regret"], body)

    def _curve(self, results: Results, key: str) -> dict[int, float]:
        return {
            row["epoch"]: row["auroc"]
            for row in results.scores[key]
            if row["layer"] == "embedding" and row["scorer"] == self.headline
        }


def _at(plain: Mapping[str, Any], name: str) -> Any:
    field, _, inner = name.partition(".")
    return plain[field].get(inner) if inner else plain[field]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
