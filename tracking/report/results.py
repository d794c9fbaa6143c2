"""The results of one study, read once from its store."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracking.schema import DYNAMICS, TRIALS
from tracking.storage import StorePath
from tracking.store import Store

ClassKey = tuple[str, int]
"""Data set and index of the normal class."""

_NOT_ARMS = {"normal_class", "seed"}
_QUANTITIES = [field.name for field in DYNAMICS if pa.types.is_floating(field.type)]


@dataclass(frozen=True, eq=False)
class Trial:
    """What a trial is and has measured.

    Attributes:
        definition: what ``TrialRecord.create`` wrote.
        state: status, message, machine.
        epochs: evaluated ones, ascending.
        dynamics: the quantities of ``tracking.schema.DYNAMICS``, [epochs] each, NaN for null.
        auroc: in [0, 1] by scorer of the embedding, then by epoch.
    """

    trial_id: str
    folder: StorePath
    definition: Mapping[str, Any]
    state: Mapping[str, Any]
    epochs: NDArray[np.int64]
    dynamics: Mapping[str, NDArray[np.float64]]
    auroc: Mapping[str, Mapping[int, float]]

    @property
    def config(self) -> Mapping[str, Any]:
        """The whole configuration."""
        return self.definition["config"]  # type: ignore[no-any-return]

    @cached_property
    def class_key(self) -> ClassKey:
        """Which normal class of which data set."""
        return str(self.config.get("dataset")), int(self.config.get("normal_class", 0))

    @property
    def class_name(self) -> str:
        """As the data set calls it."""
        return str(self.definition.get("class_name", self.class_key[1]))

    @property
    def status(self) -> str:
        """Pending, running, or one of ``tracking.ENDED``."""
        return str(self.state["status"])

    def value(self, field: str) -> Any:
        """A field of the configuration, lists and mappings as JSON; None where it lacks."""
        found = self.config.get(field)
        return json.dumps(found, sort_keys=True) if isinstance(found, dict | list) else found

    def final(self, scorer: str) -> float | None:
        """AUROC in [0, 1] of the embedding at the last evaluated epoch."""
        by_epoch = self.auroc.get(scorer)
        return by_epoch.get(int(self.epochs[-1])) if by_epoch and len(self.epochs) else None


@dataclass(frozen=True, eq=False)
class Results:
    """A study: its trials in the order they were planned, and how its table reads.

    Attributes:
        about: see ``Store.about``.
    """

    study: str
    about: Mapping[str, Any]
    trials: Sequence[Trial]

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials that count in means: finished, with the headline score at their last epoch."""
        return [
            trial
            for trial in self.trials
            if trial.status == "finished" and trial.final(self.headline) is not None
        ]

    @cached_property
    def scorers(self) -> list[str]:
        """Names of all scorers of the embedding, the headline first."""
        names = {name for trial in self.trials for name in trial.auroc}
        return sorted(names, key=lambda name: (name != self.headline, name))

    @cached_property
    def headline(self) -> str:
        """The scorer that the study is about."""
        names = {name for trial in self.trials for name in trial.auroc}
        if named := self.about.get("headline"):
            return str(named)
        return "c-cos" if "c-cos" in names or not names else min(names)

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
        named = [str(name) for name in self.about.get("rows", ()) if name != self.column]
        extra: list[str] = []
        for field in self.varying:
            if field not in named and field != self.column:
                known = [*extra, *named, *([self.column] if self.column else [])]
                if not (self._decided(field, known) or self._decided(field, [])):
                    extra.append(field)
        return [*extra, *named]

    @cached_property
    def confounded(self) -> list[str]:
        """Varying fields that are no arm because each class has one value of them."""
        arms = {*self.rows, self.column}
        return [
            name
            for name in self.varying
            if name not in arms and not self._decided(name, [f for f in arms if f], by_class=False)
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
    """Read what the store holds of a study."""
    members = store.members(study)
    dynamics = _by_trial(store.dynamics(), members)
    scores = store.scores()
    scores = _by_trial(scores.filter(pc.equal(scores["layer"], "embedding")), members)
    trials = []
    for trial_id in members:
        record = store.trial(trial_id)
        rows = dynamics.get(trial_id, DYNAMICS.empty_table())
        trials.append(
            Trial(
                trial_id=trial_id,
                folder=record.folder,
                definition=record.definition(),
                state=record.state(),
                epochs=rows["epoch"].to_numpy(),
                dynamics={
                    name: rows[name].to_numpy() for name in _QUANTITIES if name in rows.column_names
                },
                auroc=_by_scorer(scores.get(trial_id)),
            )
        )
    return Results(study, store.about(study), trials)


def _by_trial(table: pa.Table, members: Sequence[str]) -> dict[str, pa.Table]:
    """The rows of each member, by epoch."""
    kept = table.filter(pc.is_in(table["trial_id"], pa.array(members, pa.string())))
    kept = kept.sort_by([("trial_id", "ascending"), ("epoch", "ascending")])
    names = pc.dictionary_encode(kept["trial_id"].combine_chunks())
    codes = names.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    found = {}
    for start, end in itertools.pairwise([*starts, len(codes)]):
        found[names.dictionary[int(codes[start])].as_py()] = kept.slice(start, end - start)
    return found


def _by_scorer(rows: pa.Table | None) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    if rows is not None:
        columns = (rows[name].to_pylist() for name in ("scorer", "epoch", "auroc"))
        for scorer, epoch, auroc in zip(*columns, strict=True):
            found.setdefault(scorer, {})[epoch] = auroc
    return found
