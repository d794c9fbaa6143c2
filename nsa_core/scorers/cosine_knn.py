"""Cosine k-nearest neighbours, without whitening."""

from typing import Self

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError
from nsa_core.scorers.features import Features, nearest_angle, prepared


class CosineKNN:
    """Mean angle to the k nearest training features.

    Args:
        k: neighbours, at least 1; all of them if there are fewer.
    """

    def __init__(self, k: int = 1) -> None:
        self.k = k

    def fit(self, train_features: Features) -> Self:
        """Keep the unit training features [n, d]."""
        if self.k < 1:
            raise InputError(f"k is {self.k}; need at least 1 neighbour")
        self.bank_ = prepared(train_features, normalize=True)
        return self

    def score(self, features: Features) -> npt.NDArray[np.float64]:
        """Mean angles in radians, [m], in [0, pi]; higher is more anomalous."""
        values = prepared(features, normalize=True, dim=self.bank_.shape[1])
        return nearest_angle(values.to(self.bank_.device), self.bank_, self.k).cpu().numpy()
