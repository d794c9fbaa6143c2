"""Mahalanobis distance to the training mean (Lee et al. 2018, one class)."""

from typing import Self

import numpy as np
import numpy.typing as npt

from nsa_core.scorers.features import Features, prepared
from nsa_core.scorers.whitening import Whitening


class Mahalanobis:
    """(x - mu)' P (x - mu), with P the inverse covariance of the training features.

    Args:
        normalize: scale features to length 1 first.
    """

    def __init__(self, *, normalize: bool = True) -> None:
        self.normalize = normalize

    def fit(self, train_features: Features) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        self.whitening_ = Whitening.fit(prepared(train_features, normalize=self.normalize))
        return self

    def score(self, features: Features) -> npt.NDArray[np.float64]:
        """Squared distances, [m], at least 0; higher is more anomalous."""
        mean = self.whitening_.mean
        values = prepared(features, normalize=self.normalize, dim=len(mean)).to(mean.device)
        return self.whitening_(values - mean).square().sum(dim=1).cpu().numpy()
