"""Area under the ROC curve, exact with ties."""

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError


def auroc(scores: npt.ArrayLike, is_outlier: npt.ArrayLike) -> float:
    """P(outlier scores above normal) + P(equal) / 2, in [0, 1] (Mann & Whitney 1947).

    Args:
        scores: [N] real numbers of any range and dtype; higher is more anomalous.
        is_outlier: [N] booleans, or 0 and 1.

    Raises:
        InputError: shapes that differ, NaN, labels other than 0 and 1, or only one of the two.
    """
    values, outlier = checked(scores, is_outlier)
    ordered = np.sort(values[~outlier])
    positives = values[outlier]
    # for each outlier: normals strictly below count one, equal ones a half
    below = np.searchsorted(ordered, np.sort(positives), side="left")
    up_to = np.searchsorted(ordered, np.sort(positives), side="right")
    wins2 = int(below.sum(dtype=np.int64)) + int(up_to.sum(dtype=np.int64))
    return wins2 / (2 * len(positives) * len(ordered))


def checked(
    scores: npt.ArrayLike, is_outlier: npt.ArrayLike
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
    """Validate scores [N] and booleans [N]; raise an InputError that says what is wrong."""
    values, labels = np.asarray(scores), np.asarray(is_outlier)
    if values.ndim != 1 or values.shape != labels.shape:
        raise InputError(
            f"scores {list(values.shape)} and is_outlier {list(labels.shape)}: need two of [N]"
        )
    if values.dtype.kind not in "fiub":
        raise InputError(f"scores are {values.dtype}; need real numbers")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InputError(f"scores hold {np.isnan(values).sum()} NaN of {len(values)}")
    if labels.dtype != np.bool_ and not np.isin(labels, (0, 1)).all():
        odd = labels[~np.isin(labels, (0, 1))][0]
        raise InputError(f"is_outlier holds {odd}; need booleans, or 0 and 1")
    outlier = labels.astype(bool)
    if outlier.all() or not outlier.any():
        raise InputError(
            f"AUROC needs normals and outliers; got {int((~outlier).sum())} and "
            f"{int(outlier.sum())}"
        )
    return values, outlier
