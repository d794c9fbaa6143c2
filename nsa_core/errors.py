"""Errors of the core: bad input, and a training run that diverged."""

import difflib
import math
from collections.abc import Collection, Iterable


class InputError(ValueError):
    """Invalid user input; the message names it, its value and what would be valid."""


class AbsentError(InputError):
    """What is asked for is not there: a file, or a split that a data set lacks."""


class DivergedError(RuntimeError):
    """The loss, or a weight, stopped being finite.

    Attributes:
        epoch: the epoch in which it was noticed, counted from 1.
        step: optimiser steps done when it was noticed.
    """

    def __init__(self, epoch: int, step: int, value: float, what: str = "loss") -> None:
        super().__init__(f"{what} became {value} by epoch {epoch} (step {step})")
        self.epoch = epoch
        self.step = step


def first_line(error: object) -> str:
    """What another library's error says first; it may go on for many lines."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def unknown(what: str, value: object, known: Iterable[str]) -> InputError:
    """Build the error for a name outside a closed list; suggests the nearest known name."""
    names = sorted(known)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {what} {value!r}{hint} (known: {', '.join(names)})")


def check_known(what: str, values: Iterable[object], known: Collection[str]) -> None:
    """Raise the error of ``unknown`` for the first value outside a closed list."""
    for value in values:
        if value not in known:
            raise unknown(what, value, known)


def real(name: str, value: object) -> float:
    """Convert to float, or raise an InputError that names the value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; need a finite number")
    return float(value)


def positive(name: str, value: object) -> float:
    """Convert to float above 0, or raise an InputError that names the value."""
    if not (number := real(name, value)) > 0:
        raise InputError(f"{name} is {value!r}; need a number above 0")
    return number


def whole(name: str, value: object, least: int) -> int:
    """Check for a whole number of at least ``least``, or raise an InputError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} is {value!r}; need a whole number of at least {least}")
    return value
