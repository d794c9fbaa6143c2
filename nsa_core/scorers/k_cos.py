"""k-Cos: the angular Mahalanobis distance to the nearest training feature (NSA, Eq. 2)."""

from typing import Self

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F

from nsa_core.scorers.features import Features, nearest_angle, prepared
from nsa_core.scorers.whitening import Whitening


class KCos:
    """Smallest angle, after whitening, between a feature and the training features.

    Args:
        center: subtract the training mean before whitening, as Eq. 2 says. The angle is then
            taken around the mean and knows nothing of the distance to it.
        normalize: scale features to length 1 first.
    """

    def __init__(self, *, center: bool = True, normalize: bool = True) -> None:
        self.center = center
        self.normalize = normalize

    def fit(self, train_features: Features) -> Self:
        """Whiten and keep the training features [n, d]."""
        features = prepared(train_features, normalize=self.normalize)
        self.whitening_ = Whitening.fit(features)
        origin = self.whitening_.mean if self.center else 0
        self.bank_ = F.normalize(self.whitening_(features - origin), dim=1)
        return self

    def score(self, features: Features) -> npt.NDArray[np.float64]:
        """Angles in radians, [m], in [0, pi]; higher is more anomalous."""
        dim = len(self.whitening_.mean)
        values = prepared(features, normalize=self.normalize, dim=dim).to(self.bank_.device)
        origin = self.whitening_.mean if self.center else 0
        unit = F.normalize(self.whitening_(values - origin), dim=1)
        return nearest_angle(unit, self.bank_).cpu().numpy()
