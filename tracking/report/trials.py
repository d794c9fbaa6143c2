"""One trial as a report sees it: what it is, how it ended, and its rows, read in this one way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracking.files.place import StorePath
from tracking.schema import SIGNAL_COLUMNS
from tracking.selection import SignalRows

ClassKey = tuple[str, int]
"""Data set and index of the normal class."""

EMBEDDING, ENSEMBLE, METHOD = "embedding", "ensemble", "method"

UNKNOWN = 0
"""The version of a score where nobody noted it."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What a trial is and has measured.

    Attributes:
        definition: what ``TrialRecord.create`` wrote.
        state: status, message, machine.
        dynamics: its rows of ``tracking.schema.DYNAMICS``, by epoch.
        scores: its rows of ``tracking.schema.SCORES``: all epochs of the embedding, and the last
            one of all layers.
        older: versions of its scores that are not the newest of the study; see ``versions``.
    """

    trial_id: str
    folder: StorePath
    definition: Mapping[str, Any]
    state: Mapping[str, Any]
    dynamics: pa.Table
    scores: pa.Table
    older: Mapping[str, int] = field(default_factory=dict)

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
        """A field of the configuration, or with a dot one inside of it; None where it lacks.

        Lists and mappings come as JSON.
        """
        found = self.config.get(field)
        outer, dot, inner = field.partition(".")
        if found is None and dot and isinstance(within := self.config.get(outer), dict):
            found = within.get(inner)
        return json.dumps(found, sort_keys=True) if isinstance(found, dict | list) else found

    def without(self, *fields: str) -> str:
        """The whole configuration but for some fields, as JSON: equal for trials that are equal
        in all else.
        """
        rest = {name: value for name, value in self.config.items() if name not in fields}
        return json.dumps(rest, sort_keys=True)

    @property
    def score_versions(self) -> dict[str, int]:
        """Version of each score's definition, as noted by the trial: by scorer, or
        "ensemble/SCORER" or "method/SCORER" on those layers.
        """
        noted = self.state.get("score_versions")
        if not isinstance(noted, dict):
            return {}
        return {name: each for name, each in noted.items() if type(each) is int and each > UNKNOWN}

    # what it has measured --------------------------------------------------------------------

    @cached_property
    def epochs(self) -> NDArray[np.int64]:
        """The evaluated ones, ascending."""
        return self.dynamics["epoch"].to_numpy()  # type: ignore[no-any-return]

    def quantity(self, column: str) -> NDArray[np.float64]:
        """A column of ``dynamics`` [epochs], NaN for null."""
        return self.dynamics[column].to_numpy()  # type: ignore[no-any-return]

    @property
    def signals(self) -> SignalRows:
        """Of its dynamics what may select: the columns that come from training images alone."""
        return self.dynamics.select(SIGNAL_COLUMNS).to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def auroc(self) -> Mapping[str, Mapping[int, float]]:
        """AUROC in [0, 1] of the embedding, by score (see ``last``), then by epoch."""
        found: dict[str, dict[int, float]] = {}
        rows = self.scores.filter(pc.equal(self.scores["layer"], EMBEDDING))
        for scorer, epoch, auroc in _rows(rows, "scorer", "epoch", "auroc"):
            found.setdefault(self._called(EMBEDDING, scorer), {})[epoch] = auroc
        return found

    @cached_property
    def last(self) -> Mapping[tuple[str, str], float]:
        """AUROC in [0, 1] at the last evaluated epoch, by (layer, score): the scorer's name, with
        the version behind it where that is an older one.
        """
        if not len(self.epochs):
            return {}
        rows = self.scores.filter(pc.equal(self.scores["epoch"], int(self.epochs[-1])))
        return {
            (layer, self._called(layer, scorer)): auroc
            for layer, scorer, auroc in _rows(rows, "layer", "scorer", "auroc")
            if auroc is not None
        }

    def final(self, scorer: str) -> float | None:
        """AUROC in [0, 1] of the embedding at the last evaluated epoch."""
        return self.last.get((EMBEDDING, scorer))

    def _called(self, layer: str, scorer: str) -> str:
        version = self.older.get(f"{layer}/{scorer}" if layer in (ENSEMBLE, METHOD) else scorer)
        return scorer if version is None else called(scorer, version)


def called(scorer: str, version: int) -> str:
    """A score of an older version in words."""
    return f"{scorer} (version {version or 'unknown'})"


def _rows(table: pa.Table, *columns: str) -> "zip[tuple[Any, ...]]":
    return zip(*(table[name].to_pylist() for name in columns), strict=True)
