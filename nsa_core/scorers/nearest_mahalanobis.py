"""Mahalanobis distance to the nearest training feature."""

from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted

from nsa_core.scorers.features import Features, FeatureSet, Scores, score_blocks, working_dtype
from nsa_core.scorers.left_out_neighbours import nearest_distances
from nsa_core.scorers.neighbours import Neighbours
from nsa_core.scorers.scorer import FeatureScorer
from nsa_core.scorers.whitening import COVARIANCE, FLOOR, Whitening


class NearestMahalanobis(FeatureScorer):
    """Smallest (x - t)' P (x - t) over training features t; P the inverse covariance of them all.

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
        """Whiten and keep the training features [n, d]."""
        found = FeatureSet.of(train_features)
        features = found.rows(normalize=self.normalize)
        self.whitening_ = Whitening.of(found, self.covariance, self.floor, normalize=self.normalize)
        self.neighbours_ = Neighbours(self.whitening_(features, torch.float64, center=True))
        self.train_ = features
        return self

    def score(self, features: Features) -> Scores:
        """Squared distances, [m], at least 0; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self.neighbours_.nearest(
                self.whitening_(block, dtype, center=True), dtype
            ).square(),
            normalize=self.normalize,
            like=self.whitening_.mean,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of mean, covariance and search."""
        return nearest_distances(self.train_, self.whitening_).square().cpu().numpy()
