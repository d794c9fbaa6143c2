"""Mean and inverse square root of the covariance of training features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nsa_core.errors import InputError, unknown

COVARIANCES = ("empirical", "ledoit-wolf", "pinv", "student-t")
COVARIANCE = "ledoit-wolf"  # the best of them on clean data (docs/open_questions.md)
FLOOR = 1e-6  # of the largest eigenvalue; dead ReLU channels have a variance of exactly zero
_FREEDOM = 1.0  # degrees of freedom of the Student-t fit: the heaviest tail in common use
_ROUNDS = 15  # of re-weighting, after which its shape hardly moves
_SMALLEST = torch.finfo(torch.float64).tiny
_ROUNDING = 16 * torch.finfo(torch.float64).eps  # of the mean of equal rows, relative


@dataclass(frozen=True, eq=False)
class Whitening:
    """x -> S^(-1/2) x, symmetric, with S a covariance (1/n) of the training features.

    Attributes:
        mean: float64 [d].
        matrix: float64 [d, d], symmetric.
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fit(
        cls, features: Tensor, covariance: str = COVARIANCE, floor: float = FLOOR
    ) -> "Whitening":
        """Learn from float64 features [n, d].

        Args:
            covariance: "empirical", eigenvalues below ``floor`` times the largest raised to it;
                "ledoit-wolf", shrunk towards a multiple of the identity (Ledoit & Wolf 2004);
                "pinv", directions without variance dropped (SSD); "student-t", the maximum
                likelihood of a multivariate t (1 degree of freedom), in which rows far from the
                others hardly count (Kent & Tyler 1991), floored like the empirical one.
            floor: in [0, 1); what makes sense of fewer samples than dimensions.

        Raises:
            InputError: an unknown covariance, or a floor out of range.
        """
        if covariance not in COVARIANCES:
            raise unknown("covariance", covariance, COVARIANCES)
        if not 0 <= floor < 1:
            raise InputError(f"floor is {floor}; need a number in [0, 1)")
        if covariance == "student-t":
            return cls._fit_student_t(features, floor)
        return cls._fit_weighted(features, torch.ones_like(features[:, :1]), covariance, floor)

    @classmethod
    def _fit_student_t(cls, features: Tensor, floor: float) -> "Whitening":
        """Each round weighs rows by (1 + d) / (1 + m), m their squared Mahalanobis distance."""
        dim = features.shape[1]
        weights = torch.ones_like(features[:, :1])
        for _ in range(_ROUNDS):
            fitted = cls._fit_weighted(features, weights, "empirical", floor)
            distances = ((features - fitted.mean) @ fitted.matrix).square().sum(dim=1, keepdim=True)
            weights = (_FREEDOM + dim) / (_FREEDOM + distances)
        return cls._fit_weighted(features, weights, "empirical", floor)

    @classmethod
    def _fit_weighted(
        cls, features: Tensor, weights: Tensor, covariance: str, floor: float
    ) -> "Whitening":
        """Mean and covariance of rows with weights [n, 1]."""
        mean = (weights * features).sum(dim=0) / weights.sum()
        centred = weights.sqrt() * (features - mean)
        values, vectors = _spectrum(centred, _ROUNDING * mean.norm())
        identity = torch.eye(len(mean), dtype=features.dtype, device=features.device)
        if len(values) == 0:  # all rows are equal: nothing to divide by
            return cls(mean, identity)
        rest = torch.zeros_like(values[:1])  # variance of the directions that are not listed
        if covariance == "empirical":
            rest = values[-1:] * max(floor, len(mean) * torch.finfo(torch.float64).eps)
            values = values.clamp_min(rest)
        elif covariance == "ledoit-wolf":
            share, scale = _shrinkage(centred, values)
            values, rest = (1 - share) * values + share * scale, share * scale + rest
        elsewhere = rest.rsqrt() if rest > 0 else rest
        matrix = vectors * (values.rsqrt() - elsewhere) @ vectors.T + elsewhere * identity
        return cls(mean, (matrix + matrix.T) / 2)

    def __call__(self, features: Tensor, dtype: torch.dtype, *, center: bool) -> Tensor:
        """Whitened float64 features [N, d], multiplied in ``dtype``; of x - mean, or of x.

        The mean's part is always added apart, in float64, so that compact features keep their
        digits.
        """
        whitened = ((features - self.mean).to(dtype) @ self.matrix.to(dtype)).double()
        return whitened if center else whitened + self.mean @ self.matrix


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


def _shrinkage(centred: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """s and m of (1 - s) S + s m I, from the features and the eigenvalues of S (L & W 2004)."""
    n, d = centred.shape
    scale = values.sum() / d
    misfit = values.square().sum() - d * scale.square()  # |S - m I|^2
    fourth = centred.square().sum(dim=1).square().mean()
    noise = (fourth - values.square().sum()) / n
    share = (noise / misfit).clamp(0, 1) if misfit > 0 else torch.zeros_like(scale)
    return share, scale
