"""Which images belong together: what is withheld, or judged, is whole groups."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError


def group_of(count: int, groups: Sequence[Any] | None) -> npt.NDArray[np.int64]:
    """The number of each image's group, int64 [count], from 0; of its own without ``groups``.

    Raises:
        InputError: groups of another number than images, or that cannot be told apart.
    """
    if groups is None:
        return np.arange(count)
    if len(groups) != count:
        raise InputError(f"groups has {len(groups)} entries; need one for each of {count}")
    try:
        return np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"groups cannot be compared ({error}); need texts or numbers") from error
