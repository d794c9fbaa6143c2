"""Kernel density of unit features, and the bandwidth it shares with the one-class SVM (DROC)."""

import math
from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.scorers.features import Features, Scores, prepared, score_blocks, working_dtype
from nsa_core.scorers.scorer import FeatureScorer

_BLOCK = 512


class KDE(FeatureScorer):
    """-(1 / gamma) log mean_j exp(-gamma |x - x_j|^2) over unit training features x_j.

    DROC's score, up to a constant (Sohn et al. 2021). A soft nearest neighbour: the squared
    distance to the nearest feature for large gamma, the mean squared distance for small.

    Args:
        gamma: of the Gaussian kernel, above 0; None for ``droc_gamma``.
    """

    def __init__(self, gamma: float | None = None) -> None:
        self.gamma = gamma

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Keep the unit training features [n, d]."""
        unit = prepared(train_features, normalize=True)
        self.gamma_ = checked_gamma(self.gamma, unit)
        self.centre_ = unit.mean(dim=0)
        self.rows_ = unit - self.centre_
        return self

    def score(self, features: Features) -> Scores:
        """Soft squared distances, [m], in [0, 4]; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self._soft_distance(self._exponents((block - self.centre_).to(dtype))),
            normalize=True,
            like=self.centre_,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of the mean; 0 if it is the only one."""
        if len(self.rows_) == 1:
            return self.rows_.new_zeros(1).cpu().numpy()
        parts = []
        for start in range(0, len(self.rows_), _BLOCK):
            exponents = self._exponents(self.rows_[start : start + _BLOCK])
            exponents[:, start:].fill_diagonal_(-torch.inf)
            parts.append(self._soft_distance(exponents, others=len(self.rows_) - 1))
        return torch.cat(parts).cpu().numpy()

    def _exponents(self, offsets: Tensor) -> Tensor:
        """[B, n], -gamma |x - x_j|^2; float64, as small ones vanish in the sum of their powers."""
        return -self.gamma_ * squared_distances(offsets, self.rows_.to(offsets.dtype)).double()

    def _soft_distance(self, exponents: Tensor, others: int | None = None) -> Tensor:
        log_mean = exponents.logsumexp(dim=1) - math.log(others or len(self.rows_))
        return (-log_mean / self.gamma_).clamp_min(0)


def droc_gamma(unit: Tensor) -> float:
    """10 / (d var), over all entries of unit features [n, d]: ten times scikit-learn's "scale"."""
    variance = float(unit.var(unbiased=False))
    return 10 / (unit.shape[1] * variance) if variance > 0 else 10.0


def checked_gamma(gamma: float | None, unit: Tensor) -> float:
    """The given bandwidth, validated, or DROC's default."""
    if gamma is not None and not (math.isfinite(gamma) and gamma > 0):
        raise InputError(f"gamma is {gamma}; need a number above 0, or None for DROC's")
    return droc_gamma(unit) if gamma is None else float(gamma)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """[A, B] from [A, d] and [B, d], at least 0; keep both near the origin for all digits."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    return torch.addmm(squares, a, b.T, alpha=-2).clamp_min_(0)
