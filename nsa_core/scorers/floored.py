"""Mahalanobis distances under a covariance with a floor, without its eigenvalues where it has none
below the floor. On a GPU a Cholesky factor costs a tenth of an eigendecomposition.
"""

import torch
from torch import Tensor

from nsa_core.scorers.moments import weighted_mean


def unfloored_distances(features: Tensor, weights: Tensor, floor: float) -> Tensor | None:
    """Squared distances [n, 1] of float64 rows [n, d] with weights [n, 1] from their mean.

    None if an eigenvalue may lie below ``floor`` times the largest: the covariance less the floor
    has a Cholesky factor only if none does.
    """
    mean = weighted_mean(features, weights)
    offsets = features - mean
    covariance = (offsets * weights).T @ offsets / len(features)
    raised = covariance.clone()
    raised.diagonal().sub_(floor * _at_least_largest(covariance))
    factor, failed = torch.linalg.cholesky_ex(covariance)
    _, below = torch.linalg.cholesky_ex(raised)
    if failed + below > 0 or not floor > 0:
        return None
    whitened: Tensor = torch.linalg.solve_triangular(factor, offsets.T, upper=False)
    return whitened.square().sum(dim=0)[:, None]


def _at_least_largest(covariance: Tensor) -> Tensor:
    """A bound [] on the largest eigenvalue, from above and close: the Frobenius norm of C^8 to the
    power of 1/8, 1.5 times it at most in 30 dimensions and 2.2 times in 1,000.
    """
    length = torch.linalg.matrix_norm(covariance)
    power = covariance / length
    for _ in range(3):
        power = power @ power
    bound: Tensor = length * torch.linalg.matrix_norm(power) ** (1 / 8)
    return bound
