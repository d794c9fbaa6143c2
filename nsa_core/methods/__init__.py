"""Self-supervised methods by name."""

import inspect
from collections.abc import Mapping

from nsa_core.errors import InputError, real, unknown, whole
from nsa_core.methods.byol import BYOL
from nsa_core.methods.method import ENCODER_LAYERS, LAYERS, Augment, Method
from nsa_core.methods.simclr import SimCLR
from nsa_core.methods.simsiam import SimSiam
from nsa_core.models import NormVariant, ResNet

__all__ = [
    "BYOL",
    "ENCODER_LAYERS",
    "LAYERS",
    "Augment",
    "Method",
    "SimCLR",
    "SimSiam",
    "available",
    "build",
    "checked_options",
    "norms",
    "options",
]

_METHODS: dict[str, type[BYOL | SimCLR | SimSiam]] = {
    "byol": BYOL,
    "simclr": SimCLR,
    "simsiam": SimSiam,
}


def available() -> list[str]:
    """Names of the methods."""
    return sorted(_METHODS)


def options(name: str) -> dict[str, int | float]:
    """A method's own options with their defaults."""
    if name not in _METHODS:
        raise unknown("method", name, _METHODS)
    parameters = inspect.signature(_METHODS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def norms(name: str) -> tuple[NormVariant, ...]:
    """The norm variants that apply to a method."""
    if name not in _METHODS:
        raise unknown("method", name, _METHODS)
    return _METHODS[name].norms


def checked_options(name: str, given: Mapping[str, object]) -> dict[str, int | float]:
    """A method's options, each of the kind of its default and above 0, or an InputError."""
    defaults = options(name)
    checked: dict[str, int | float] = {}
    for key, value in given.items():
        if key not in defaults:
            raise unknown(f"option of {name}", key, defaults)
        label = f"{name}'s option {key}"
        if isinstance(defaults[key], int):
            checked[key] = whole(label, value, 1)
        elif not (number := real(label, value)) > 0:
            raise InputError(f"{label} is {value}; need a number above 0")
        else:
            checked[key] = number
    return checked


def build(
    name: str, encoder: ResNet, norm: NormVariant, own_options: Mapping[str, int | float]
) -> Method:
    """A method around an encoder, freshly initialised from torch's global generator.

    Raises:
        InputError: an unknown method or option, or a norm that the method cannot have.
    """
    checked = checked_options(name, own_options)
    return _METHODS[name](encoder, norm, **checked)  # type: ignore[arg-type]
