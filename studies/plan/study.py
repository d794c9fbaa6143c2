"""What a study is: a grid of trials around a base configuration, and how its table reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracking.layout import Layout


@dataclass(frozen=True)
class Preset:
    """A size of a study.

    Attributes:
        dataset: where no other is asked for.
        classes: normal classes, by name or index; empty for all that can be.
        axes: configuration field to the values that the study crosses; a tuple of fields takes
            tuples of values, for what varies together.
        base: configuration fields that all trials share.
        seeds: how many, counted from 0.
        recipes: does a trial start from the published training of its method
            (``methods.recipe``)? All else is laid over it.
    """

    dataset: str
    classes: tuple[int | str, ...]
    axes: Mapping[str | tuple[str, ...], Sequence[Any]]
    base: Mapping[str, Any]
    seeds: int = 1
    recipes: bool = False


@dataclass(frozen=True)
class Study:
    """A question, the grid that answers it, and how the answer reads.

    Attributes:
        name: of the study in the store and in MLflow.
        title: one line, as in the paper.
        layout: how its results read.
        presets: sizes by name.
    """

    name: str
    title: str
    layout: Layout
    presets: Mapping[str, Preset]
