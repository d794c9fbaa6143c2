"""Mahalanobis distance to the training mean (Lee et al. 2018, one class)."""

from typing import Self

import torch
from torch import Tensor

from nsa_core.scorers.features import Features, Scores, prepared, score_blocks, working_dtype
from nsa_core.scorers.whitening import COVARIANCE, FLOOR, Whitening


class Mahalanobis:
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

    def fit(self, train_features: Features) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        self.train_ = prepared(train_features, normalize=self.normalize)
        self.whitening_ = Whitening.fit(self.train_, self.covariance, self.floor)
        return self

    def score(self, features: Features) -> Scores:
        """Squared distances, [m], at least 0; higher is more anomalous."""
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self._distance(block, dtype),
            normalize=self.normalize,
            like=self.whitening_.mean,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features; one of thousands hardly moves the mean."""
        return self._distance(self.train_, torch.float64).cpu().numpy()

    def _distance(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        return self.whitening_(features, dtype, center=True).square().sum(dim=1)
