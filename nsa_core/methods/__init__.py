"""Self-supervised methods by name."""

import inspect
from collections.abc import Mapping

from nsa_core.errors import InputError, unknown
from nsa_core.methods.byol import BYOL
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.simclr import SimCLR
from nsa_core.methods.simsiam import SimSiam
from nsa_core.models import NormVariant, ResNet

__all__ = ["BYOL", "Augment", "Method", "SimCLR", "SimSiam", "available", "build", "options"]

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


def build(
    name: str, encoder: ResNet, norm: NormVariant, own_options: Mapping[str, int | float]
) -> Method:
    """A method around an encoder, freshly initialised from torch's global generator.

    Raises:
        InputError: an unknown method or option, or a norm that the method cannot have.
    """
    known = options(name)
    for key, value in own_options.items():
        if key not in known:
            raise unknown(f"option of {name}", key, known)
        if not value > 0:
            raise InputError(f"{name}'s option {key} is {value}; need a number above 0")
    return _METHODS[name](encoder, norm, **own_options)  # type: ignore[arg-type]
