"""Gaussian density of features: one Gaussian with a full covariance (DROC's GDE)."""

import math
from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.scorers.features import Features, Scores, prepared, score_blocks
from nsa_core.scorers.scorer import FeatureScorer

_SMALLEST = torch.finfo(torch.float64).tiny


class GaussianDensity(FeatureScorer):
    """-log N(x; mu, S + r I), the negative log-likelihood in nats.

    The same order as the Mahalanobis distance, but for the ridge r, which is absolute here and
    relative to the largest eigenvalue there.

    Args:
        normalize: scale features to length 1 first.
        ridge: r, added to the variances, above 0 (scikit-learn's mixture: 1e-6).
    """

    def __init__(self, *, normalize: bool = True, ridge: float = 1e-6) -> None:
        self.normalize = normalize
        self.ridge = ridge

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        if not self.ridge > 0:
            raise InputError(f"ridge is {self.ridge}; need a number above 0")
        self.train_ = prepared(train_features, normalize=self.normalize)
        self.mean_ = self.train_.mean(dim=0)
        self.factor_ = self._factor(len(self.train_))
        return self

    def score(self, features: Features) -> Scores:
        """Negative log-likelihoods in nats, [m]; higher is more anomalous."""
        check_is_fitted(self)
        return score_blocks(
            features, self._negative_log_likelihood, normalize=self.normalize, like=self.mean_
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of mean and covariance.

        By Sherman and Morrison, as in ``left_out``; 0 if it is the only one.
        """
        count = len(self.train_)
        if count == 1:
            return self.mean_.new_zeros(1).cpu().numpy()
        offsets = (self.train_ - self.mean_).T
        factor = self._factor(count - 1)
        solved = torch.cholesky_solve(offsets, factor)
        squared = (offsets * solved).sum(dim=0)
        floor = self.ridge * solved.square().sum(dim=0) / squared.clamp_min(_SMALLEST)
        left = torch.maximum(1 - squared * count / (count - 1) ** 2, floor)
        distances = squared / left * (count / (count - 1)) ** 2
        return (self._nats(distances, factor) + left.log() / 2).cpu().numpy()

    def _factor(self, divisor: int) -> Tensor:
        """The Cholesky factor [d, d] of the scatter over ``divisor``, plus the ridge."""
        centred = self.train_ - self.mean_
        covariance = centred.T @ centred / divisor
        covariance.diagonal().add_(self.ridge)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if failed:
            raise InputError(f"ridge is {self.ridge}, too small for the covariance to be inverted")
        return factor  # type: ignore[no-any-return]

    def _negative_log_likelihood(self, features: Tensor) -> Tensor:
        offsets = (features - self.mean_).T
        scaled: Tensor = torch.linalg.solve_triangular(self.factor_, offsets, upper=False)
        return self._nats(scaled.square().sum(dim=0), self.factor_)

    def _nats(self, distances: Tensor, factor: Tensor) -> Tensor:
        log_root = factor.diagonal().log().sum()  # half of log det
        return distances / 2 + log_root + len(self.mean_) * math.log(2 * math.pi) / 2
