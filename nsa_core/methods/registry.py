"""The registry of methods: their names, options, recipes, and what applies to them."""

import inspect
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from nsa_core.errors import InputError, positive, unknown, whole
from nsa_core.methods.byol import BYOL
from nsa_core.methods.csi import CSI
from nsa_core.methods.droc import DROC
from nsa_core.methods.firm import FIRM
from nsa_core.methods.goad import GOAD
from nsa_core.methods.mean_shifted import MeanShifted
from nsa_core.methods.method import Method
from nsa_core.methods.panda import PANDA
from nsa_core.methods.pretrained import Frozen
from nsa_core.methods.rotnet import RotNet
from nsa_core.methods.simclr import SimCLR
from nsa_core.methods.simclr_shifted import ShiftedSimCLR
from nsa_core.methods.simsiam import SimSiam
from nsa_core.methods.stoc import STOC, around
from nsa_core.methods.unicon_ha import UniConHA
from nsa_core.models import Encoder, NormVariant

Option = int | float | str
"""A value of a method's own options."""

_METHODS: dict[str, type[Method]] = {
    "byol": BYOL,
    "csi": CSI,
    "droc": DROC,
    "firm": FIRM,
    "frozen": Frozen,
    "goad": GOAD,
    "msc": MeanShifted,
    "panda": PANDA,
    "rotnet": RotNet,
    "simclr": SimCLR,
    "simclr-shifted": ShiftedSimCLR,
    "simsiam": SimSiam,
    "stoc": STOC,
    "unicon-ha": UniConHA,
}

_BASE = "droc"  # of STOC, where its options name no other method


def available() -> list[str]:
    """Names of the methods."""
    return sorted(_METHODS)


def options(name: str, given: Mapping[str, object] = {}) -> dict[str, Option]:
    """A method's own options with their defaults.

    STOC's are those of the method that its ``given`` option "base" names, too.
    """
    kinds = [_known(name)]
    named: dict[str, Option] = {}
    if kinds[0] is STOC:
        named["base"] = _BASE
        kinds.append(_base(given))
    for kind in kinds:
        parameters = inspect.signature(kind).parameters.values()
        named |= {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return named


def norms(name: str, given: Mapping[str, object] = {}) -> tuple[NormVariant, ...]:
    """The norm variants that apply to a method with these options."""
    return _built(name, given).norms


def check_norm(name: str, given: Mapping[str, object], norm: NormVariant) -> None:
    """Raise an InputError if a norm variant does not apply to a method with these options."""
    if norm not in (allowed := norms(name, given)):
        raise InputError(
            f"norm is {norm.value!r}, which does not apply to {name}; "
            f"use one of: {', '.join(allowed)}"
        )


def instances(name: str, given: Mapping[str, object] = {}) -> int:
    """How many instances of each training image an epoch runs over."""
    return _built(name, given).instances


def has_backbone(name: str, given: Mapping[str, object] = {}) -> bool:
    """Whether the method's encoder is a backbone that others have trained."""
    return _built(name, given).pretrained


def trains(name: str) -> bool:
    """Whether the method has any steps."""
    return _known(name).trains


def recipe(name: str, given: Mapping[str, object] = {}) -> dict[str, Any]:
    """The published training of a method, as fields of ``TrialConfig``.

    ``TrialConfig(method=name, **recipe(name))`` is that training.
    """
    return dict(_built(name, given).recipe)


def own_score_versions() -> dict[str, int]:
    """All methods' own scores, and the versions of their definitions."""
    return {
        score: version
        for method in _METHODS.values()
        for score, version in method.own_score_versions.items()
    }


def checked_options(name: str, given: Mapping[str, object]) -> dict[str, Option]:
    """Validate a method's options: each has the type of its default; a number is above 0."""
    defaults = options(name, given)
    checked: dict[str, Option] = {}
    for key, value in given.items():
        if key not in defaults:
            raise unknown(f"option of {name}", key, defaults)
        label = f"{name}'s option {key}"
        if isinstance(default := defaults[key], StrEnum):
            if str(value) not in [*type(default)]:
                raise InputError(f"{label} is {value!r}; need one of: {', '.join(type(default))}")
            checked[key] = type(default)(str(value))
        elif isinstance(default, str):
            checked[key] = str(value)  # the base: a method's name, or it would have no options
        elif isinstance(default, int):
            checked[key] = whole(label, value, 1)
        else:
            checked[key] = positive(label, value)
    return checked


def build(
    name: str, encoder: Encoder, norm: NormVariant, own_options: Mapping[str, Option]
) -> Method:
    """Build a method around an encoder, initialised from torch's global generator.

    Raises:
        InputError: an unknown method or option, or a norm that the method cannot have.
    """
    checked = checked_options(name, own_options)
    check_norm(name, checked, norm)
    kind = _built(name, checked)
    checked.pop("base", None)
    return kind(encoder, norm, **checked)


def _known(name: object, what: str = "method") -> type[Method]:
    if not isinstance(name, str) or name not in _METHODS:
        raise unknown(what, name, _METHODS)
    return _METHODS[name]


def _built(name: str, given: Mapping[str, object]) -> type[Method]:
    """The class that a method with these options is of."""
    kind = _known(name)
    return around(_base(given)) if kind is STOC else kind


def _base(given: Mapping[str, object]) -> type[Method]:
    """The method that STOC stands around."""
    kind = _known(given.get("base", _BASE), "stoc's option base")
    if kind is STOC:
        raise InputError("stoc's option base is 'stoc'; need another method to stand around")
    if not kind.trains:
        raise InputError(
            f"stoc's option base is {given['base']!r}, which trains nothing; need one that trains"
        )
    return kind
