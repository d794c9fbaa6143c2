"""c-Cos: the angle, after whitening, to the training mean (NSA, section 3.3)."""

from typing import Self

import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.scorers import left_out
from nsa_core.scorers.features import Features, FeatureSet, Scores, score_blocks, working_dtype
from nsa_core.scorers.neighbours import chord_to_angle
from nsa_core.scorers.scorer import FeatureScorer
from nsa_core.scorers.whitening import COVARIANCE, FLOOR, Whitening


class CCos(FeatureScorer):
    """arccos of mu' P x / sqrt(mu' P mu x' P x), with P the inverse covariance.

    Nothing is centred: centring sends the mean itself to zero, where it has no direction. For a
    feature whose offset is P-orthogonal to the mean this is arctan(Mahalanobis / |mean|_P), a
    bounded and rising function of the Mahalanobis distance.

    Args:
        center: subtract the mean all the same, and take the angle to the mean of the unit
            whitened training features, which is mostly noise.
        normalize: scale features to length 1 first.
        covariance, floor: see ``Whitening.fit``.
    """

    def __init__(
        self,
        *,
        center: bool = False,
        normalize: bool = True,
        covariance: str = COVARIANCE,
        floor: float = FLOOR,
    ) -> None:
        self.center = center
        self.normalize = normalize
        self.covariance = covariance
        self.floor = floor

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        found = FeatureSet.of(train_features)
        features = found.rows(normalize=self.normalize)
        self.whitening_ = Whitening.of(found, self.covariance, self.floor, normalize=self.normalize)
        if self.center:
            direction = self._unit(features, torch.float64).mean(dim=0)
        else:
            direction = self.whitening_.mean @ self.whitening_.matrix
        self.centre_ = F.normalize(direction, dim=0)
        self.train_ = features
        return self

    def score(self, features: Features) -> Scores:
        """Angles in radians, [m], in [0, pi]; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: self._angle(block, dtype),
            normalize=self.normalize,
            like=self.centre_,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of mean and covariance.

        Raises:
            InputError: centred, where every row moves the direction of every other one.
        """
        if self.center:
            raise InputError("a centred c-Cos has no leave-one-out scores; use center=False")
        return left_out.angles_to_mean(self.train_, self.whitening_).cpu().numpy()

    def _angle(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        return chord_to_angle((self._unit(features, dtype) - self.centre_).norm(dim=1))

    def _unit(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        return F.normalize(self.whitening_(features, dtype, center=self.center), dim=1)
