"""The results of one study, read once from its store."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nsa_core import TrialConfig
from tracking import SIGNAL_COLUMNS, Store
from tracking.plain_text import plain
from tracking.report.markdown import escaped

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Results:
    """What the trials of a study have measured.

    Attributes:
        trials: every planned trial's configuration, by id.
        states: every trial's status and message, by id.
        class_names: of the normal classes, by index.
        dynamics: one row an evaluated epoch, in order, by id of a *finished* trial.
        scores: one row an evaluated epoch, layer and scorer, by id of a *finished* trial.
    """

    trials: Mapping[str, TrialConfig]
    states: Mapping[str, dict[str, Any]]
    class_names: Mapping[int, str]
    dynamics: Mapping[str, Rows]
    scores: Mapping[str, Rows]

    def levels(self, axis: str) -> list[Any]:
        """The values of a configuration field, in the order of the grid."""
        return list(dict.fromkeys(getattr(config, axis) for config in self.trials.values()))

    def signals(self, trial_id: str) -> Rows:
        """Of a finished trial's dynamics the columns that may select."""
        rows = self.dynamics[trial_id]
        return [{name: row[name] for name in SIGNAL_COLUMNS} for row in rows]

    def final(self, trial_id: str) -> dict[str, float]:
        """AUROC of the embedding at the last epoch by scorer."""
        return self._finals[trial_id]

    @cached_property
    def _finals(self) -> dict[str, dict[str, float]]:
        last = {key: rows[-1]["epoch"] for key, rows in self.dynamics.items()}
        return {
            key: {
                row["scorer"]: row["auroc"]
                for row in rows
                if row["epoch"] == last[key] and row["layer"] == "embedding"
            }
            for key, rows in self.scores.items()
        }

    def scope(self) -> str:
        """Data set, classes, seeds and length, in a line."""
        configs = list(self.trials.values())
        names = [self.class_names[index] for index in sorted(self.class_names)]
        seeds = len({config.seed for config in configs})
        lengths = dict.fromkeys(f"{config.budget} {config.budget_unit}" for config in configs)
        return (
            f"{configs[0].dataset}, class{'es' * (len(names) > 1)} {', '.join(names)}, "
            f"{seeds} seed{'s' * (seeds > 1)}, {' or '.join(lengths)}."
        )

    def excluded(self) -> str:
        """Every trial that is not in the means, named; empty if there is none."""
        lines = []
        for status in ("collapsed", "diverged", "stopped", "failed", "pending", "running"):
            for key, state in self.states.items():
                if state["status"] == status:
                    said = escaped(plain(state.get("message") or ""))
                    message = f": {said}" if said else ""
                    lines.append(f"- {status}: {_cell_name(self.trials[key])} ({key}){message}")
        return "Not in the means:\n\n" + "\n".join(lines) if lines else ""


def load_results(store: Store, trials: Mapping[str, TrialConfig]) -> Results:
    """Read what the store holds of these trials."""
    records = {key: store.trial(key) for key in trials}
    states = {key: record.state() for key, record in records.items()}
    finished = [key for key, state in states.items() if state["status"] == "finished"]
    names = {
        config.normal_class: str(records[key].definition()["class_name"])
        for key, config in trials.items()
    }
    return Results(
        trials=dict(trials),
        states=states,
        class_names=names,
        dynamics={key: records[key].dynamics().to_pylist() for key in finished},
        scores={key: records[key].scores().to_pylist() for key in finished},
    )


def _cell_name(config: TrialConfig) -> str:
    return (
        f"{config.method} norm {config.norm.value}, batch {config.batch_size}, "
        f"class {config.normal_class}, p {config.pollution:g}, seed {config.seed}"
    )
