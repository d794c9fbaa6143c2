"""Average precision and false positives at high recall, exact with ties."""

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError
from nsa_core.metrics.auroc import checked


def auprc(scores: npt.ArrayLike, is_outlier: npt.ArrayLike) -> float:
    """Average precision with outliers as positives, in [0, 1]; no interpolation.

    Equal scores enter together, as in scikit-learn. Inputs and errors as for ``auroc``.
    """
    hits, taken = _cumulative(scores, is_outlier)
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / taken).sum() / hits[-1])


def fpr_at_recall(scores: npt.ArrayLike, is_outlier: npt.ArrayLike, recall: float = 0.95) -> float:
    """Share of normals flagged at the highest threshold that flags ``recall`` of the outliers.

    In [0, 1]; ``recall`` in (0, 1]; inputs and errors as for ``auroc``.
    """
    if not 0 < recall <= 1:
        raise InputError(f"recall is {recall}; need a share in (0, 1]")
    hits, taken = _cumulative(scores, is_outlier)
    first = int(np.searchsorted(hits, np.ceil(recall * hits[-1] - 1e-9)))
    return float((taken[first] - hits[first]) / (taken[-1] - hits[-1]))


def _cumulative(
    scores: npt.ArrayLike, is_outlier: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Outliers and images flagged at each distinct threshold, from the highest down."""
    values, outlier = checked(scores, is_outlier)
    order = np.argsort(values, kind="stable")[::-1]
    ordered = values[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(outlier[order], dtype=np.int64)[last_of_tie]
    return hits, np.flatnonzero(last_of_tie) + 1
