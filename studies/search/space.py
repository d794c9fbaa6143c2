"""The space of a search: checked, and turned into configurations and back."""

import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nsa_core import InputError, TrialConfig
from nsa_core.errors import unknown
from studies.plan.fields import FIELDS, UNTRAINED


def check_space(name: str, space: Mapping[str, BaseDistribution]) -> None:
    """Validate a search space: known fields that need retraining, at least one.

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


def point_of(space: Mapping[str, BaseDistribution], config: Mapping[str, Any]) -> dict[str, Any]:
    """The point of the space that a configuration, as plain values, is of.

    Raises:
        InputError: it is of none; the message names the field.
    """
    point: dict[str, Any] = {}
    for key, each in space.items():
        field, _, inner = key.partition(".")
        value = config.get(field)
        if inner:
            value = value.get(inner) if isinstance(value, Mapping) else None
        if isinstance(each, CategoricalDistribution):
            plain = [json.loads(json.dumps(choice)) for choice in each.choices]
            fits = value in plain
            value = each.choices[plain.index(value)] if fits else value
        else:
            numeric = isinstance(value, int | float)
            fits = numeric and each._contains(each.to_internal_repr(value))
        if not fits:
            raise InputError(f"{key} is {value!r}, which is not in the space ({each})")
        point[key] = value
    return point


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
