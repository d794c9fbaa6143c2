"""k-Cos: the angular Mahalanobis distance to the nearest training feature (NSA, Eq. 2).

Eq. 2 to the letter is ``KCos(center=True, covariance="empirical")``, registered as
"k-cos-literal". By data set it stays 4 to 33 points of AUROC below the un-centred score
(docs/open_questions.md).
"""

from typing import Self

import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.scorers.features import Features, FeatureSet, Scores, score_blocks, working_dtype
from nsa_core.scorers.left_out_neighbours import nearest_angles
from nsa_core.scorers.neighbours import Neighbours, chord_to_angle
from nsa_core.scorers.scorer import FeatureScorer
from nsa_core.scorers.whitening import COVARIANCE, FLOOR, Whitening


class KCos(FeatureScorer):
    """Smallest angle, after whitening, between a feature and the training features.

    Args:
        center: subtract the training mean before whitening, as Eq. 2 says. The angle is then
            taken around the mean and knows nothing of the distance to it.
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
        """Whiten and keep the training features [n, d]."""
        found = FeatureSet.of(train_features)
        features = found.rows(normalize=self.normalize)
        self.whitening_ = Whitening.of(found, self.covariance, self.floor, normalize=self.normalize)
        self.neighbours_ = Neighbours(self._unit(features, torch.float64))
        self.train_ = features
        return self

    def score(self, features: Features) -> Scores:
        """Angles in radians, [m], in [0, pi]; higher is more anomalous."""
        check_is_fitted(self)
        dtype = working_dtype(features)
        return score_blocks(
            features,
            lambda block: chord_to_angle(self.neighbours_.nearest(self._unit(block, dtype), dtype)),
            normalize=self.normalize,
            like=self.whitening_.mean,
        )

    def leave_one_out(self) -> Scores:
        """Scores of the training features, each left out of mean, covariance and search."""
        found = nearest_angles(self.train_, self.whitening_, center=self.center)
        return found.cpu().numpy()

    def _unit(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        return F.normalize(self.whitening_(features, dtype, center=self.center), dim=1)
