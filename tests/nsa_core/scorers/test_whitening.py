import numpy as np
import torch
from scipy.linalg import sqrtm

from nsa_core.scorers.whitening import Whitening

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(50, 6)) @ RNG.normal(size=(6, 6)) + 3


def test_matrix_is_the_symmetric_inverse_root_of_the_covariance():
    fitted = Whitening.fit(torch.from_numpy(FEATURES))
    expected = np.linalg.inv(sqrtm(np.cov(FEATURES.T, bias=True)))
    np.testing.assert_allclose(fitted.matrix.numpy(), expected, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(fitted.mean.numpy(), FEATURES.mean(axis=0))


def test_whitened_training_features_have_unit_covariance():
    fitted = Whitening.fit(torch.from_numpy(FEATURES))
    white = fitted(torch.from_numpy(FEATURES)).numpy()
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(6), atol=1e-9)


def test_without_spread_the_features_stay_as_they_are():
    fitted = Whitening.fit(torch.ones(5, 3, dtype=torch.float64))
    assert torch.equal(fitted.matrix, torch.eye(3, dtype=torch.float64))


def test_small_eigenvalues_are_floored_at_a_millionth_of_the_largest():
    scale = np.array([1, 1e-2, 1e-5, 0])
    features = np.concatenate([np.diag(scale), -np.diag(scale)])
    matrix = Whitening.fit(torch.from_numpy(features)).matrix.numpy()
    largest = 2 / 8
    expected = 1 / np.sqrt(np.maximum(largest * scale**2, 1e-6 * largest))
    np.testing.assert_allclose(np.diag(matrix), expected, rtol=1e-9)
