"""One-class SVM on unit features (Schölkopf et al. 2001; DROC's settings)."""

from typing import Self

import numpy as np
from sklearn.svm import OneClassSVM as LibSVM
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.scorers.features import Features, Scores, prepared, score_blocks
from nsa_core.scorers.kernel_density import checked_gamma, squared_distances
from nsa_core.scorers.scorer import FeatureScorer

MAX_ROWS = 20_000  # the kernel matrix of more would not fit
_TOLERANCE = 1e-6  # libsvm's own, 1e-3, leaves scores that depend on the order of rows


class OneClassSVM(FeatureScorer):
    """-sum_j alpha_j exp(-gamma |x - x_j|^2) of an RBF one-class SVM, with sum_j alpha_j = 1.

    The kernel is a matrix product here, and libsvm (through scikit-learn) solves for alpha. Of
    more than 20,000 training rows, 20,000 evenly spaced ones are used.

    Args:
        nu: share of training rows allowed outside, in (0, 1); libsvm cannot solve for 1.
        gamma: of the Gaussian kernel, above 0; None for ``droc_gamma``.
    """

    def __init__(self, nu: float = 0.5, gamma: float | None = None) -> None:
        self.nu = nu
        self.gamma = gamma

    def fit(self, train_features: Features, y: object = None) -> Self:
        """Find the support vectors among the training features [n, d]."""
        if not 0 < self.nu < 1:
            raise InputError(f"nu is {self.nu}; need a share in (0, 1)")
        unit = self.train_ = prepared(train_features, normalize=True)
        if len(unit) > MAX_ROWS:
            unit = unit[np.linspace(0, len(unit) - 1, MAX_ROWS).round().astype(int)]
        self.gamma_ = checked_gamma(self.gamma, unit)
        self.centre_ = unit.mean(dim=0)
        rows = unit - self.centre_
        kernel = squared_distances(rows, rows).mul_(-self.gamma_).exp_()
        machine = LibSVM(kernel="precomputed", nu=self.nu, tol=_TOLERANCE).fit(kernel.cpu().numpy())
        self.vectors_ = rows[machine.support_.tolist()]
        alpha = rows.new_tensor(machine.dual_coef_[0])
        self.alpha_ = alpha / alpha.sum()
        return self

    def score(self, features: Features) -> Scores:
        """Minus the weighted mean kernel, [m], in [-1, 0]; higher is more anomalous."""
        check_is_fitted(self)
        return score_blocks(features, self._kernel_mean, normalize=True, like=self.centre_)

    def leave_one_out(self) -> Scores:
        """Scores of all training features, support vectors included."""
        return score_blocks(self.train_, self._kernel_mean, normalize=False, like=self.centre_)

    def _kernel_mean(self, block: Tensor) -> Tensor:
        squared = squared_distances(block - self.centre_, self.vectors_)
        return -squared.mul_(-self.gamma_).exp_().matmul(self.alpha_)
