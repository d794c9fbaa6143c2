"""The two ways in which the core says no: bad input, and a training that diverged."""

import difflib
import math
from collections.abc import Iterable


class InputError(ValueError):
    """Something a user gave is wrong; the message names it, its value and what would be right."""


class DivergedError(RuntimeError):
    """The loss stopped being finite.

    Attributes:
        epoch: the epoch in which it was noticed, counted from 1.
        step: optimiser steps done when it was noticed.
    """

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"loss became {loss} by epoch {epoch} (step {step})")
        self.epoch = epoch
        self.step = step


def unknown(what: str, value: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a closed list, with the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {what} {value!r}{hint} (known: {', '.join(names)})")


def real(name: str, value: object) -> float:
    """The value as a float, or an InputError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; need a finite number")
    return float(value)


def whole(name: str, value: object, least: int) -> int:
    """The value if it is a whole number of at least ``least``, or an InputError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} is {value!r}; need a whole number of at least {least}")
    return value
