"""Ranking metrics of scores: AUROC, AUPRC and FPR95, exact with ties."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError
from nsa_core.metrics.auroc import checked

_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranking metrics of one score; all in [0, 1].

    Attributes:
        auroc: see ``nsa_core.metrics.auroc``.
        auprc: average precision.
        fpr95: share of normals flagged where 95 % of the outliers are.
    """

    auroc: float
    auprc: float
    fpr95: float


def ranking(scores: npt.ArrayLike, is_outlier: npt.ArrayLike) -> Ranking:
    """All three of scores [m], higher is more anomalous, from one sort; inputs and errors as for
    ``auroc``.
    """
    hits, taken = _cumulative(scores, is_outlier)
    return Ranking(_auroc(hits, taken), _auprc(hits, taken), _fpr(hits, taken, 0.95))


def auprc(scores: npt.ArrayLike, is_outlier: npt.ArrayLike) -> float:
    """Average precision with outliers as positives, in [0, 1]; no interpolation.

    Equal scores enter together, as in scikit-learn. Inputs and errors as for ``auroc``.
    """
    return _auprc(*_cumulative(scores, is_outlier))


def fpr_at_recall(scores: npt.ArrayLike, is_outlier: npt.ArrayLike, recall: float = 0.95) -> float:
    """Share of normals flagged at the highest threshold that flags ``recall`` of the outliers.

    In [0, 1]; ``recall`` in (0, 1]; inputs and errors as for ``auroc``.
    """
    if not 0 < recall <= 1:
        raise InputError(f"recall is {recall}; need a share in (0, 1]")
    return _fpr(*_cumulative(scores, is_outlier), recall)


def _auroc(hits: _Counts, taken: _Counts) -> float:
    """In whole numbers up to the division, so with the bits of ``auroc``."""
    normals = taken - hits
    left, equal = normals[-1] - normals, np.diff(normals, prepend=0)
    wins2 = int((np.diff(hits, prepend=0) * (2 * left + equal)).sum())
    return wins2 / (2 * int(hits[-1]) * int(normals[-1]))


def _auprc(hits: _Counts, taken: _Counts) -> float:
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / taken).sum() / hits[-1])


def _fpr(hits: _Counts, taken: _Counts, recall: float) -> float:
    first = int(np.searchsorted(hits, np.ceil(recall * hits[-1] - 1e-9)))
    return float((taken[first] - hits[first]) / (taken[-1] - hits[-1]))


def _cumulative(scores: npt.ArrayLike, is_outlier: npt.ArrayLike) -> tuple[_Counts, _Counts]:
    """Outliers and images flagged at each distinct threshold, from the highest down."""
    values, outlier = checked(scores, is_outlier)
    order = np.argsort(values)[::-1]  # equal ones enter together, in whatever order
    ordered = values[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(outlier[order], dtype=np.int64)[last_of_tie]
    return hits, np.flatnonzero(last_of_tie) + 1
