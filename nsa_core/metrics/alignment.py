"""How close the views of one image are to each other."""

from nsa_core.errors import InputError
from nsa_core.metrics.directions import Rows, library, unit_rows


def alignment(first: Rows, second: Rows, alpha: float = 2.0) -> float:
    """Mean of |a - b|^alpha over pairs of unit rows, the two views of an image (Wang & Isola 2020).

    In [0, 2^alpha]; 0 when views agree. Features are [N, d] each, row by row, normalised here.
    """
    if not alpha > 0:
        raise InputError(f"alpha is {alpha}; need a number above 0")
    a, b = unit_rows(first), unit_rows(second)
    if a.shape != b.shape:
        raise InputError(f"views are {list(a.shape)} and {list(b.shape)}; need two of one shape")
    return float((library(a).linalg.norm(a - b, axis=1) ** alpha).mean())
