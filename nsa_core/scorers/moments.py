"""Mean and covariance of weighted rows, the latter as eigenvalues and eigenvectors."""

from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST = torch.finfo(torch.float64).tiny
_ROUNDING = 16 * torch.finfo(torch.float64).eps  # of the mean of equal rows, relative


@dataclass(frozen=True, eq=False)
class Moments:
    """Of rows x_i with weights w_i: C = (1/n) sum_i w_i o_i o_i', o_i the offsets from the mean.

    Attributes:
        weights: float64 [n, 1].
        mean: float64 [d], weighted.
        values: float64 [r], the eigenvalues of C above rounding, rising.
        vectors: float64 [d, r], their eigenvectors.
        fourth: float64 [], the mean of w_i^2 |o_i|^4.
    """

    weights: Tensor
    mean: Tensor
    values: Tensor
    vectors: Tensor
    fourth: Tensor


def moments_of(features: Tensor, weights: Tensor | None = None) -> Moments:
    """Of float64 rows [n, d] with weights [n, 1], equal ones unless told otherwise."""
    weights = torch.ones_like(features[:, :1]) if weights is None else weights
    mean = weighted_mean(features, weights)
    centred = weights.sqrt() * (features - mean)
    values, vectors = _spectrum(centred, _ROUNDING * mean.norm())
    return Moments(weights, mean, values, vectors, centred.square().sum(dim=1).square().mean())


def weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """[d], of rows [n, d] with weights [n, 1]."""
    return (weights * features).sum(dim=0) / weights.sum()


def _spectrum(centred: Tensor, rounding: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [r] above rounding, rising, and eigenvectors [d, r] of the covariance (1/n).

    ``rounding`` is how long an offset the subtraction of the mean may leave of equal rows.
    Of fewer samples than dimensions the n x n Gram matrix has the same ones, at less cost.
    """
    n, d = centred.shape
    gram = centred.T @ centred if d <= n else centred @ centred.T
    values, vectors = torch.linalg.eigh(gram / n)
    largest = values[-1]
    noise = largest * max(n, d) * torch.finfo(torch.float64).eps
    real = values > torch.maximum(noise, rounding.square()).clamp_min(_SMALLEST)
    values, vectors = values[real], vectors[:, real]
    if d > n:
        vectors = centred.T @ vectors / (n * values).sqrt()
    return values, vectors
