"""Checks of a configuration that take more than a line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nsa_core import methods, scorers
from nsa_core.data import MAX_HELD_OUT, MAX_POLLUTION
from nsa_core.errors import InputError, check_known, real
from nsa_core.models import backbone_file, check_backbone, weights_digest

OF_SCRATCH = ("depth", "width", "stem")
OF_BACKBONE = ("backbone", "weights", "weights_sha256", "image_size")

RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "pollution": (lambda value: 0 <= value <= MAX_POLLUTION, f"a share in [0, {MAX_POLLUTION}]"),
    "held_out": (lambda value: 0 <= value <= MAX_HELD_OUT, f"a share in [0, {MAX_HELD_OUT}]"),
    "learning_rate": (lambda value: value > 0, "a number above 0"),
    "weight_decay": (lambda value: value >= 0, "at least 0"),
    "momentum": (lambda value: 0 <= value < 1, "a number in [0, 1)"),
}
"""Fields that are real numbers: which are right, and how to say so."""


def checked_number(name: str, value: object) -> float:
    """A field of ``RANGES``, or an InputError."""
    number = real(name, value)
    is_right, need = RANGES[name]
    if not is_right(number):
        raise InputError(f"{name} is {number}; need {need}")
    return number


def weights_identity(
    method: str, method_options: Mapping[str, Any], given: Mapping[str, Any]
) -> str:
    """SHA-256 of the weights of a method's backbone, "" for one that trains its own encoder.

    Args:
        method, method_options: its name and its own options.
        given: fields of ``OF_SCRATCH`` and ``OF_BACKBONE`` that have not their defaults.

    Raises:
        InputError: a field that does not apply, an unknown backbone, or no such file of weights.
    """
    has_backbone = methods.has_backbone(method, method_options)
    for name in OF_SCRATCH if has_backbone else OF_BACKBONE:
        if name in given:
            reason = "has a backbone" if has_backbone else "trains its own encoder from scratch"
            raise InputError(f"{name} is {given[name]!r}, but {method} {reason}; leave it out")
    if not has_backbone:
        return ""
    backbone, weights = (str(given.get(name, "")) for name in ("backbone", "weights"))
    check_backbone(backbone)
    return str(given.get("weights_sha256") or weights_digest(backbone_file(backbone, weights)))


def checked_layers(layers: object) -> tuple[str, ...]:
    """The layers in the order of ``methods.LAYERS``; the embedding is always among them."""
    chosen = _chosen("layers", "layer", layers, methods.LAYERS)
    if "embedding" not in chosen:
        raise InputError(f"layers is {[*chosen]}; need the embedding among them")
    return chosen


def checked_slow(names: object) -> tuple[str, ...]:
    """The names in the order of ``scorers.SLOW``."""
    return _chosen("slow_scores", "slow score", names, scorers.SLOW)


def _chosen(field: str, what: str, given: object, known: Sequence[str]) -> tuple[str, ...]:
    """Those of the known names that are given, in the order of the known ones."""
    if not isinstance(given, list | tuple):
        raise InputError(f"{field} is {given!r}; need a list of {', '.join(known)}")
    check_known(what, given, known)
    return tuple(name for name in known if name in given)
