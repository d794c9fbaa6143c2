"""What a search is: a space of configurations around a base, and the report of its choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nsa_core import InputError, TrialConfig
from nsa_core.errors import unknown
from studies.study import FIELDS, UNTRAINED, Report


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
    space: Mapping[str, BaseDistribution]
    base: Mapping[str, Any]
    trials: int


@dataclass(frozen=True)
class Search:
    """A question, the space it is asked in, and the report that shows what the answer was worth.

    Attributes:
        name: of the study in the store, in MLflow and in Optuna's storage.
        title: one line.
        report: tables and picture.
        presets: sizes by name.
    """

    name: str
    title: str
    report: Report
    presets: Mapping[str, SearchPreset]


def check_space(name: str, space: Mapping[str, BaseDistribution]) -> None:
    """Refuse a space that is empty, or has what is no configuration field or trains nothing anew.

    Raises:
        InputError: it names the search, the field and what would be right.
    """
    if not space:
        raise InputError(f"the space of {name} is empty; name a field to vary")
    for key in space:
        field, _, inner = key.partition(".")
        if field in UNTRAINED:
            raise InputError(f"{field!r} cannot be searched in {name}: {UNTRAINED[field]}")
        if field not in FIELDS:
            raise unknown(f"field in the space of {name}", field, FIELDS)
        if bool(inner) != (field in ("augment", "method_options")):
            raise InputError(
                f"{key!r} in the space of {name}: need a field, or augment.NAME or "
                "method_options.NAME"
            )


def configured(base: Mapping[str, Any], values: Mapping[str, Any]) -> TrialConfig:
    """The configuration at a point of the space."""
    plain: dict[str, Any] = dict(base)
    for key, value in values.items():
        field, _, inner = key.partition(".")
        plain[field] = {**plain.get(field, {}), inner: value} if inner else value
    return TrialConfig.from_dict(plain)


def middle(space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """A point of typical cost: the middle of every range, the last of every list."""
    point: dict[str, Any] = {}
    for key, each in space.items():
        if isinstance(each, CategoricalDistribution):
            point[key] = each.choices[-1]
        elif isinstance(each, IntDistribution):
            point[key] = (each.low + each.high) // 2
        elif isinstance(each, FloatDistribution):
            point[key] = (each.low * each.high) ** 0.5 if each.log else (each.low + each.high) / 2
    return point
