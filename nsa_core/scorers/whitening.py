"""Mean and inverse square root of the covariance of training features."""

from dataclasses import dataclass

import torch
from torch import Tensor

_FLOOR = 1e-6  # of the largest eigenvalue; dead ReLU channels have a variance of exactly zero


@dataclass(frozen=True, eq=False)
class Whitening:
    """x -> S^(-1/2) x, symmetric, with S the empirical covariance (1/n) of the training features.

    Eigenvalues below 1e-6 of the largest are raised to it, which also makes sense of fewer
    samples than dimensions.

    Attributes:
        mean: float64 [d].
        matrix: float64 [d, d], symmetric.
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fit(cls, features: Tensor) -> "Whitening":
        mean = features.mean(dim=0)
        centred = features - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(features))
        floor = values[-1] * _FLOOR
        if floor <= 0:  # all rows are equal: there is no spread to divide by
            return cls(mean, torch.eye(len(mean), dtype=features.dtype, device=features.device))
        scaled = vectors * values.clamp_min(floor).rsqrt()
        return cls(mean, scaled @ vectors.T)

    def __call__(self, features: Tensor) -> Tensor:
        """Whitened features [N, d]; subtract the mean first where the score wants it."""
        return features @ self.matrix
