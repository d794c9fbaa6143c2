"""c-Cos: the angle, after whitening, to the training mean (NSA, section 3.3)."""

from typing import Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from nsa_core.scorers.features import Features, prepared
from nsa_core.scorers.whitening import Whitening


class CCos:
    """arccos of mu' P x / sqrt(mu' P mu x' P x), with P the inverse covariance.

    Nothing is centred: centring sends the mean itself to zero, where it has no direction. For a
    feature whose offset is P-orthogonal to the mean this is arctan(Mahalanobis / |mean|_P), a
    bounded and rising function of the Mahalanobis distance.

    Args:
        normalize: scale features to length 1 first.
    """

    def __init__(self, *, normalize: bool = True) -> None:
        self.normalize = normalize

    def fit(self, train_features: Features) -> Self:
        """Learn mean and covariance of the training features [n, d]."""
        features = prepared(train_features, normalize=self.normalize)
        self.whitening_ = Whitening.fit(features)
        self.centre_ = F.normalize(self.whitening_(self.whitening_.mean[None]), dim=1)
        return self

    def score(self, features: Features) -> npt.NDArray[np.float64]:
        """Angles in radians, [m], in [0, pi]; higher is more anomalous."""
        dim = len(self.whitening_.mean)
        values = prepared(features, normalize=self.normalize, dim=dim).to(self.centre_.device)
        unit = F.normalize(self.whitening_(values), dim=1)
        apart, together = unit - self.centre_, unit + self.centre_
        angle = 2 * torch.atan2(apart.norm(dim=1), together.norm(dim=1))
        return angle.cpu().numpy()
