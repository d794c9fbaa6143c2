"""Scores of several layers added up, each on the scale of its own training scores (NSA, app. C)."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from nsa_core.errors import InputError, unknown
from nsa_core.scorers.c_cos import CCos
from nsa_core.scorers.features import Features, Scores
from nsa_core.scorers.scorer import Scorer

SPANS = {"min-max": (0.0, 1.0), "quantile": (0.005, 0.995)}
SCALES = (*SPANS, "rank")


class LayerEnsemble(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The plain sum of scores of every layer, each scaled by its own training scores.

    Training scores are leave-one-out: a training feature's nearest training feature is itself, so
    without that the scale of k-Cos would be zero.

    The paper divides by the range of training scores and leaves open which scores it adds; that is
    ``LayerEnsemble(scorers, "min-max")``. The defaults are what was best on the networks trained
    here (docs/open_questions.md).

    Args:
        scorers: makes the scorers, each fit on every layer.
        scale: distances in units of the training scores' range: "min-max", or "quantile" (0.5 % to
            99.5 %), which a few outliers in the training set cannot stretch; neither is clipped.
            Or "rank", the share of training scores below, in [0, 1].
    """

    def __init__(
        self, scorers: Sequence[Callable[[], Scorer]] = (CCos,), scale: str = "quantile"
    ) -> None:
        self.scorers = scorers
        self.scale = scale

    def fit(self, train_layers: Sequence[Features], y: object = None) -> Self:
        """Fit on the layers' training features, each [n, d of the layer], rows in one order."""
        if self.scale not in SCALES:
            raise unknown("scale", self.scale, SCALES)
        if not self.scorers:
            raise InputError("no scorers given; the ensemble needs at least one")
        _check_rows(train_layers)
        fitted = [[make().fit(features) for make in self.scorers] for features in train_layers]
        self.parts_ = [[(part, part.leave_one_out()) for part in parts] for parts in fitted]
        return self

    def score(self, layers: Sequence[Features]) -> Scores:
        """Sums of scaled scores, [m]; higher is more anomalous."""
        check_is_fitted(self)
        if len(layers) != len(self.parts_):
            raise InputError(
                f"{len(layers)} layers given; the ensemble was fit on {len(self.parts_)}"
            )
        _check_rows(layers)
        return self.combine(
            [
                (train_scores, part.score(features))
                for parts, features in zip(self.parts_, layers, strict=True)
                for part, train_scores in parts
            ]
        )

    def combine(self, parts: Sequence[tuple[Scores, Scores]]) -> Scores:
        """The sum over (leave-one-out training scores, test scores) of parts that are scored.

        A part whose training scores are all equal has no range, and adds nothing.
        """
        total = np.zeros(len(parts[0][1]))
        for train_scores, test_scores in parts:
            if self.scale == "rank":
                total += _rank(train_scores, test_scores)
                continue
            low, high = np.quantile(train_scores, SPANS[self.scale])
            if high > low:
                total += (test_scores - low) / (high - low)
        return total


def _rank(
    train_scores: npt.NDArray[np.float64], test_scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The share of training scores below each test score, equal ones counted half."""
    ordered = np.sort(train_scores)
    below = np.searchsorted(ordered, test_scores, side="left")
    up_to = np.searchsorted(ordered, test_scores, side="right")
    return (below + up_to) / (2 * len(ordered))


def _check_rows(layers: Sequence[Features]) -> None:
    rows = {len(features) for features in layers}
    if len(rows) != 1:
        raise InputError(
            f"the layers have {sorted(rows)} rows; need one number, at least one layer"
        )
