"""The results of one study, read once from its store, and how the study wants to be read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tracking.layout import SECTIONS
from tracking.report.rows import rows_by_trial
from tracking.report.trials import ClassKey, Trial
from tracking.report.versions import counted, is_ranked, told_apart
from tracking.schema import DYNAMICS, SCORES, TRIALS
from tracking.store import Store
from tracking.tables.checked import checked_definition

_NOT_ARMS = {"normal_class", "seed"}


@dataclass(frozen=True, eq=False)
class Results:
    """A study: its trials in the order they were planned, and how its table reads.

    Attributes:
        about: see ``tracking.layout.Layout``; stores of older versions lack some of it.
    """

    study: str
    about: Mapping[str, Any]
    trials: Sequence[Trial]

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials that count in means and pairs; see ``versions.counted``."""
        return counted(self.trials, self.headline)

    @cached_property
    def ranked(self) -> bool:
        """Whether there are AUROC to report; without them training signals stand in their place."""
        return is_ranked(self.trials)

    @cached_property
    def scorers(self) -> list[str]:
        """Names of all scores of the embedding that count, the headline first."""
        names = {name for trial in self.finished for name in trial.auroc}
        return sorted(names, key=lambda name: (name != self.headline, name))

    @cached_property
    def headline(self) -> str:
        """The scorer that the study is about."""
        if named := self.about.get("headline"):
            return str(named)
        names = {name for trial in self.trials for name in trial.auroc}
        return "c-cos" if "c-cos" in names or not names else min(names)

    @property
    def compare(self) -> str:
        """The field whose first value the others are compared with."""
        return str(self.about.get("compare") or "norm")

    @property
    def lead(self) -> list[str]:
        """The sections that the study is about, the first first."""
        named = [name for name in self.about.get("lead") or () if name in SECTIONS]
        return list(dict.fromkeys(named)) or ["tables"]

    @property
    def named_rows(self) -> list[str]:
        """The fields that the study itself names for its rows."""
        return [str(name) for name in self.about.get("rows") or ()]

    @cached_property
    def varying(self) -> list[str]:
        """Configuration fields with several values, class and seed apart."""
        fields = {name for trial in self.trials for name in trial.config} - _NOT_ARMS
        ordered = sorted(fields, key=lambda name: (_place(name), name))
        return [name for name in ordered if len(self.levels(name)) > 1]

    @cached_property
    def column(self) -> str | None:
        """The field across the table, if the study names one that varies."""
        column = self.about.get("columns")
        return str(column) if column and len(self.levels(str(column))) > 1 else None

    @cached_property
    def rows(self) -> list[str]:
        """The fields that tell the table's rows apart: those the study names, and before them
        those without which a cell would mix unlike trials.
        """
        named = [name for name in self.named_rows if name != self.column]
        extra: list[str] = []
        for field in self.varying:
            if field not in named and field != self.column:
                known = [*extra, *named, *([self.column] if self.column else [])]
                if not (self._decided(field, known) or self._decided(field, [])):
                    extra.append(field)
        return [*extra, *named]

    @property
    def arm(self) -> list[str]:
        """The fields that tell cells of the table apart: those of rows, then the column's."""
        return [*self.rows, *([self.column] if self.column else [])]

    @cached_property
    def confounded(self) -> list[str]:
        """Varying fields that are no arm because each class has one value of them."""
        return [
            name
            for name in self.varying
            if name not in self.arm and not self._decided(name, self.arm, by_class=False)
        ]

    def levels(self, field: str) -> list[Any]:
        """The values of a field: numbers ascending, others as planned."""
        values = list(dict.fromkeys(trial.value(field) for trial in self.trials))
        numbers = all(isinstance(value, int | float) for value in values)
        return sorted(values) if numbers else values

    def class_names(self) -> dict[ClassKey, str]:
        """Of all planned classes, in order."""
        return dict(sorted({trial.class_key: trial.class_name for trial in self.trials}.items()))

    def _decided(self, field: str, known: Iterable[str], *, by_class: bool = True) -> bool:
        """Whether other fields, and the class, leave a field no choice."""
        fields = list(known)
        seen: dict[tuple[Any, ...], Any] = {}
        for trial in self.trials:
            key = (*(trial.value(name) for name in fields), trial.class_key if by_class else None)
            if seen.setdefault(key, trial.value(field)) != trial.value(field):
                return False
        return True


def _place(field: str) -> int:
    return TRIALS.names.index(field) if field in TRIALS.names else len(TRIALS)


def load_results(store: Store, study: str) -> Results:
    """Read what the store holds of a study.

    Raises:
        StoreError: a file of it is damaged.
    """
    members = store.members(study)
    dynamics, scores = rows_by_trial(store, members)
    trials = []
    for trial_id in members:
        record = store.trial(trial_id)
        state = record.state()
        trials.append(
            Trial(
                trial_id=trial_id,
                folder=record.folder,
                definition=checked_definition(record, state),
                state=state,
                dynamics=dynamics.get(trial_id, DYNAMICS.empty_table()),
                scores=scores.get(trial_id, SCORES.empty_table()),
            )
        )
    return Results(study, store.about(study), told_apart(trials))
