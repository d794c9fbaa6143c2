"""What a search is: a space of configurations around a base, and how its choices read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracking.layout import Layout

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class SearchPreset:
    """A size of a search.

    Attributes:
        dataset: where no other is asked for.
        normal_class: by name or index; a search is for one class, as a user's own data has one.
        space: configuration field to Optuna distribution; "method_options.ema" and
            "augment.brightness" reach inside.
        base: configuration fields that all trials share.
        trials: how many.
    """

    dataset: str
    normal_class: int | str
    space: Mapping[str, "BaseDistribution"]
    base: Mapping[str, Any]
    trials: int


@dataclass(frozen=True)
class Search:
    """A question, the space it is asked in, and how the answer reads.

    Attributes:
        name: of the study in the store, in MLflow and in Optuna's storage.
        title: one line.
        layout: how its results read.
        presets: sizes by name.
    """

    name: str
    title: str
    layout: Layout
    presets: Mapping[str, SearchPreset]
