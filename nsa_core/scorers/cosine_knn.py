"""Cosine k-nearest neighbours, without whitening."""

from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.errors import whole
from nsa_core.scorers.features import Features, Scores, prepared, score_blocks, working_dtype
from nsa_core.scorers.neighbours import Neighbours, chord_to_angle
from nsa_core.scorers.scorer import FeatureScorer


class CosineKNN(FeatureScorer):
    """Mean angle to the k nearest training features.

    Args:
        k: neighbours, at least 1; all of them if there are fewer.
    """

    def __init__(self, k: int = 1) -> None:
        self.k = k

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Keep the unit training features [n, d]."""
        whole("k", self.k, 1)
        self.neighbours_ = Neighbours(prepared(train_features, normalize=True))
        return self

    def score(self, features: Features) -> Scores:
        """Mean angles in radians, [m], in [0, pi]; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self._mean_angle(block, dtype),
            normalize=True,
            like=self.neighbours_.centre,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of the rows it is compared with."""
        return chord_to_angle(self.neighbours_.left_out(self.k)).mean(dim=1).cpu().numpy()

    def _mean_angle(self, block: Tensor, dtype: torch.dtype) -> Tensor:
        return chord_to_angle(self.neighbours_.k_nearest(block, dtype, self.k)).mean(dim=1)
