"""Mean and inverse square root of the covariance of training features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nsa_core.errors import InputError, unknown
from nsa_core.scorers.features import FeatureSet
from nsa_core.scorers.floored import unfloored_distances
from nsa_core.scorers.moments import Moments, moments_of

COVARIANCES = ("empirical", "ledoit-wolf", "pinv", "student-t")
COVARIANCE = "ledoit-wolf"  # the best of them on clean data (docs/open_questions.md)
FLOOR = 1e-6  # of the largest eigenvalue; dead ReLU channels have a variance of exactly zero
_FREEDOM = 1.0  # degrees of freedom of the Student-t fit: the heaviest tail in common use
_FACTORED = ("cuda",)  # devices whose eigenvalues are slow; a CPU keeps the bits of its stores
_ROUNDS = 15  # of re-weighting, after which its shape hardly moves


@dataclass(frozen=True, eq=False)
class Spectrum:
    """C = (1/n) sum_i w_i o_i o_i' of the offsets o_i from the mean, and what S makes of it.

    Attributes:
        weights: float64 [n], of the training rows.
        vectors: float64 [d, r], the eigenvectors of C that carry variance.
        values: float64 [r], their eigenvalues in C.
        kept: the share of C in S, float64 []; 1 without shrinkage.
        added: float64 [r], what S adds to ``kept * values``: by a floor, or by shrinkage.
        rest: the variance in S of all other directions, float64 []; 0 drops them.
    """

    weights: Tensor
    vectors: Tensor
    values: Tensor
    kept: Tensor
    added: Tensor
    rest: Tensor


@dataclass(frozen=True, eq=False)
class Whitening:
    """x -> S^(-1/2) x, symmetric, with S a covariance (1/n) of the training features.

    Attributes:
        mean: float64 [d].
        matrix: float64 [d, d], symmetric.
        spectrum: how S came about; for leave-one-out.
    """

    mean: Tensor
    matrix: Tensor
    spectrum: Spectrum

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
        return cls.of(FeatureSet(features), covariance, floor, normalize=False)

    @classmethod
    def of(
        cls, features: FeatureSet, covariance: str, floor: float, *, normalize: bool
    ) -> "Whitening":
        """The same of a set's rows, scaled to length 1 if asked for; scorers of one set share it,
        and those that differ in the covariance alone the decomposition.
        """
        if covariance not in COVARIANCES:
            raise unknown("covariance", covariance, COVARIANCES)
        if not 0 <= floor < 1:
            raise InputError(f"floor is {floor}; need a number in [0, 1)")

        def make() -> Whitening:
            rows = features.rows(normalize=normalize)
            moments = features.once(("moments", normalize), lambda: moments_of(rows))
            if covariance == "student-t":
                return cls._fit_student_t(rows, moments, floor)
            return cls.from_moments(moments, covariance, floor)

        return features.once(("whitening", normalize, covariance, floor), make)

    @classmethod
    def _fit_student_t(cls, rows: Tensor, moments: Moments, floor: float) -> "Whitening":
        """Each round weighs rows by (1 + d) / (1 + m), m their squared Mahalanobis distance."""
        dim, weights = rows.shape[1], moments.weights
        for _ in range(_ROUNDS):
            distances = None
            if rows.device.type in _FACTORED:
                distances = unfloored_distances(rows, weights, floor)
            if distances is None:
                if weights is not moments.weights:
                    moments = moments_of(rows, weights)
                fitted = cls.from_moments(moments, "empirical", floor)
                distances = ((rows - fitted.mean) @ fitted.matrix).square().sum(dim=1, keepdim=True)
            weights = (_FREEDOM + dim) / (_FREEDOM + distances)
        return cls.from_moments(moments_of(rows, weights), "empirical", floor)

    @classmethod
    def from_moments(cls, moments: Moments, covariance: str, floor: float) -> "Whitening":
        """From mean and eigenvalues; ``covariance`` is any but "student-t"."""
        mean, values, vectors = moments.mean, moments.values, moments.vectors
        weights = moments.weights[:, 0]
        identity = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
        kept, rest = mean.new_ones(()), mean.new_zeros(())
        if len(values) == 0:  # all rows are equal: nothing to divide by
            return cls(mean, identity, Spectrum(weights, vectors, values, kept, values, kept))
        estimate = values
        if covariance == "empirical":
            rest = values[-1] * max(floor, len(mean) * torch.finfo(torch.float64).eps)
            estimate = values.clamp_min(rest)
        elif covariance == "ledoit-wolf":
            share, scale = _shrinkage(moments)
            kept, rest = 1 - share, share * scale
            estimate = kept * values + rest
        elsewhere = rest.rsqrt() if rest > 0 else rest
        matrix = vectors * (estimate.rsqrt() - elsewhere) @ vectors.T + elsewhere * identity
        added = estimate - kept * values
        spectrum = Spectrum(weights, vectors, values, kept, added, rest)
        return cls(mean, (matrix + matrix.T) / 2, spectrum)

    def __call__(self, features: Tensor, dtype: torch.dtype, *, center: bool) -> Tensor:
        """Whitened float64 features [N, d], multiplied in ``dtype``; of x - mean, or of x.

        The mean's part is always added apart, in float64, so that compact features keep their
        digits.
        """
        whitened = ((features - self.mean).to(dtype) @ self.matrix.to(dtype)).double()
        return whitened if center else whitened + self.mean @ self.matrix


def _shrinkage(moments: Moments) -> tuple[Tensor, Tensor]:
    """s and m of (1 - s) C + s m I (Ledoit & Wolf 2004)."""
    n, d, values = len(moments.weights), len(moments.mean), moments.values
    scale = values.sum() / d
    misfit = values.square().sum() - d * scale.square()  # |C - m I|^2
    noise = (moments.fourth - values.square().sum()) / n
    share = (noise / misfit).clamp(0, 1) if misfit > 0 else torch.zeros_like(scale)
    return share, scale
