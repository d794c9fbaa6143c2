"""Mahalanobis distance to the training mean (Lee et al. 2018, one class)."""

from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.scorers import left_out
from nsa_core.scorers.features import Features, FeatureSet, Scores, score_blocks, working_dtype
from nsa_core.scorers.scorer import FeatureScorer
from nsa_core.scorers.whitening import COVARIANCE, FLOOR, Whitening


class Mahalanobis(FeatureScorer):
    """(x - mu)' P (x - mu), with P the inverse covariance of the training features.

    Args:
        normalize: scale features to length 1 first.
        covariance, floor: see ``Whitening.fit``.
    """

    def __init__(
        self, *, normalize: bool = True, covariance: str = COVARIANCE, floor: float = FLOOR
    ) -> None:
        self.normalize = normalize
        self.covariance = covariance
        self.floor = floor

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        found = FeatureSet.of(train_features)
        self.train_ = found.rows(normalize=self.normalize)
        self.whitening_ = Whitening.of(found, self.covariance, self.floor, normalize=self.normalize)
        return self

    def score(self, features: Features) -> Scores:
        """Squared distances, [m], at least 0; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self._distance(block, dtype),
            normalize=self.normalize,
            like=self.whitening_.mean,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of mean and covariance."""
        return left_out.squared_distances(self.train_, self.whitening_).cpu().numpy()

    def _distance(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        return self.whitening_(features, dtype, center=True).square().sum(dim=1)
