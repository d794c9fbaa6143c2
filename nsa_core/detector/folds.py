"""Which images are judged together, by a training on all others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.detector.groups import group_of
from nsa_core.errors import InputError, whole
from nsa_core.seeds import derive_seed

Rows = npt.NDArray[np.int64]


def fold_rows(
    count: int, fold: int, folds: int, seed: int, groups: Sequence[Any] | None = None
) -> Rows:
    """Rows of a fold, int64, rising; drawn by the seed, sizes differ by one at most.

    With ``groups`` [count] each group goes as a whole to the smallest fold so far, large ones
    first.

    Raises:
        InputError: no such fold, fewer images or groups than folds, or groups of another number.
    """
    whole("folds", folds, 2)
    if not 0 <= fold < folds:
        raise InputError(f"fold is {fold}; with {folds} folds need 0 to {folds - 1}")
    members = group_of(count, groups)
    sizes = np.bincount(members, minlength=1)
    if len(sizes) < folds or not count:
        what = "images" if groups is None else "groups"
        raise InputError(f"{folds} folds need at least as many {what}; there are {len(sizes)}")
    lots = np.random.default_rng(derive_seed(seed, "folds")).permutation(len(sizes))
    filled, fold_of = np.zeros(folds, np.int64), np.empty(len(sizes), np.int64)
    for group in lots[np.argsort(-sizes[lots], kind="stable")]:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return np.flatnonzero(fold_of[members] == fold)
