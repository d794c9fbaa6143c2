"""Trials grouped: the cells of a table, and what a cell says."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracking.report.numbers import field_text, percent, percent_interval, value_text
from tracking.report.results import Results
from tracking.report.statistics import class_mean, interval, interval_basis
from tracking.report.trials import ClassKey, Trial

Level = tuple[Any, ...]


@dataclass
class Group:
    """Numbers of trials that differ in class and seed alone.

    Attributes:
        by_class: one number a seed.
        trials: whose numbers they are.
    """

    by_class: dict[ClassKey, list[float]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial, value: float) -> None:
        """Count a trial's number in."""
        self.by_class.setdefault(trial.class_key, []).append(value)
        self.trials.append(trial)

    @property
    def mean(self) -> float:
        """Each class counts the same."""
        return class_mean(self.by_class)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean."""
        return interval(self.by_class)

    @property
    def n(self) -> int:
        """How many trials."""
        return len(self.trials)

    @property
    def basis(self) -> str:
        """What its interval lets vary, in words."""
        return interval_basis(self.by_class)

    @property
    def reach(self) -> tuple[float, float] | None:
        """The interval inside [0, 1]."""
        if self.bounds is None:
            return None
        return max(0.0, self.bounds[0]), min(1.0, self.bounds[1])

    def lines(self) -> tuple[str, ...]:
        """Mean, then interval and n."""
        spread = percent_interval(self.bounds)
        return percent(self.mean), " ".join(filter(None, [spread, f"n {self.n}"]))


def grouped(
    trials: Iterable[Trial],
    key: Callable[[Trial], Hashable],
    value: Callable[[Trial], float | None],
) -> dict[Any, Group]:
    """Groups by key, of the trials that have a value."""
    found: dict[Any, Group] = {}
    for trial in trials:
        if (number := value(trial)) is not None:
            found.setdefault(key(trial), Group()).add(trial, number)
    return found


def level(trial: Trial, fields: Sequence[str]) -> Level:
    """The values of some fields."""
    return tuple(trial.value(name) for name in fields)


def in_order(results: Results, levels: Iterable[Level], fields: Sequence[str]) -> list[Level]:
    """Numbers ascending, others as planned, the first field slowest."""
    places = [{each: at for at, each in enumerate(results.levels(name))} for name in fields]
    return sorted(
        set(levels),
        key=lambda values: [place[v] for place, v in zip(places, values, strict=True)],
    )


def label(fields: Sequence[str], values: Level) -> str:
    """For instance "norm both, batch size 32"; "all trials" without a field."""
    parts = [
        f"{field_text(name)} {value_text(value)}"
        for name, value in zip(fields, values, strict=True)
    ]
    return ", ".join(parts) or "all trials"


def describe(results: Results, trial: Trial) -> str:
    """Arm, class and seed of a trial in words."""
    arm = label(results.arm, level(trial, results.arm)) if results.arm else ""
    return ", ".join(
        filter(None, [arm, f"class {trial.class_name}", f"seed {trial.value('seed')}"])
    )
