"""Which training images are withheld for calibration, and what so many of them can promise."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.detector.conformal import is_promised, least_rate
from nsa_core.detector.groups import group_of
from nsa_core.errors import InputError, real
from nsa_core.seeds import derive_seed

MOST = 0.5

Rows = npt.NDArray[np.int64]


class CalibrationWarning(UserWarning):
    """Too few images are withheld to promise the false-alarm rate; nothing is flagged."""


def checked_share(share: object) -> None:
    """An InputError unless it is a share of the images that may be withheld."""
    if not 0 <= real("calibration", share) <= MOST:
        raise InputError(f"calibration is {share}; need a share in [0, {MOST}]")


def split_rows(
    count: int, share: float, seed: int, groups: Sequence[Any] | None = None
) -> tuple[Rows, Rows]:
    """Rows to train on and rows to withhold, each rising, drawn by the seed.

    Args:
        count: of the images.
        share: to withhold, in [0, 0.5], rounded to whole images.
        groups: [count]; as many of the groups drawn are withheld, whole, as the share has room for.

    Raises:
        InputError: a share out of range, or groups of another number.
    """
    checked_share(share)
    members = group_of(count, groups)
    sizes = np.bincount(members)
    order = np.random.default_rng(derive_seed(seed, "calibration")).permutation(len(sizes))
    aside = np.zeros(len(sizes), dtype=np.bool_)
    aside[order[sizes[order].cumsum() <= round(share * count)]] = True
    return np.flatnonzero(~aside[members]), np.flatnonzero(aside[members])


def warn_of_few(withheld: int, share: float, rate: float) -> None:
    """Say so if the calibration images are too few to promise the rate, and what would do."""
    if is_promised(withheld, rate):
        return
    if not withheld:
        warnings.warn(
            f"no image is withheld to calibrate, so nothing is flagged: calibration={share} of "
            "them holds no image, or no whole group; use more images, smaller groups or a larger "
            "share",
            CalibrationWarning,
            stacklevel=4,
        )
        return
    least, needed = least_rate(withheld), math.ceil(1 / rate - 1e-9) - 1
    warnings.warn(
        f"{withheld} calibration images can promise no false-alarm rate below {least:.2%}, and "
        f"{rate:.2%} was asked for, so nothing is flagged; scores and p-values are as ever. Use a "
        f"false_alarm_rate of {math.ceil(1000 * least) / 1000}, or {needed} calibration images: "
        f"calibration={share} withholds so many of {math.ceil(needed / share)} images",
        CalibrationWarning,
        stacklevel=4,
    )
