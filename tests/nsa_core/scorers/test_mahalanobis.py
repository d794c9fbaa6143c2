from functools import partial

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from nsa_core import scorers

Mahalanobis = partial(scorers.Mahalanobis, covariance="empirical")

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
TRAIN = RNG.normal(size=(80, 6)) @ MIX + 4
TEST = RNG.normal(size=(30, 6)) @ MIX * 1.3 + 4.2


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_equal_the_quadratic_form_of_the_inverse_covariance(normalize):
    scorer = Mahalanobis(normalize=normalize).fit(TRAIN)
    train, test = TRAIN, TEST
    if normalize:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    mean = train.mean(axis=0)
    inverse = np.linalg.inv(np.cov(train.T, bias=True))
    expected = [(x - mean) @ inverse @ (x - mean) for x in test]
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-8)


def test_a_shrunk_covariance_gives_scikit_learns_distance():
    scorer = Mahalanobis(normalize=False, covariance="ledoit-wolf").fit(TRAIN)
    expected = LedoitWolf().fit(TRAIN).mahalanobis(TEST)
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-8)


def test_with_pinv_it_is_ssds_distance_of_fewer_rows_than_dimensions():
    train, test = RNG.normal(size=(20, 40)) + 3, RNG.normal(size=(10, 40)) + 3
    inverse = np.linalg.pinv(np.cov(train.T, bias=True), rcond=1e-10, hermitian=True)
    offsets = test - train.mean(axis=0)
    expected = np.einsum("ni,ij,nj->n", offsets, inverse, offsets)
    scorer = Mahalanobis(normalize=False, covariance="pinv").fit(train)
    np.testing.assert_allclose(scorer.score(test), expected, rtol=1e-6)


def test_the_training_scores_average_to_the_dimension():
    scores = Mahalanobis(normalize=False).fit(TRAIN).score(TRAIN)
    assert scores.mean() == pytest.approx(6, rel=1e-9)


def test_a_floor_of_almost_one_leaves_the_plain_distance():
    """All eigenvalues are raised to the largest."""
    scorer = Mahalanobis(normalize=False, floor=1 - 1e-12).fit(TRAIN)
    plain = ((TEST - TRAIN.mean(axis=0)) ** 2).sum(axis=1)
    largest = np.linalg.eigvalsh(np.cov(TRAIN.T, bias=True))[-1]
    np.testing.assert_allclose(scorer.score(TEST), plain / largest, rtol=1e-9)


def test_small_eigenvalues_are_raised_to_a_millionth_of_the_largest():
    """A dead direction counts as one with a variance of 1e-6 of the largest."""
    train = np.array([[3.0, 0, 5], [-3.0, 0, 5], [0, 2.0, 5], [0, -2.0, 5]])
    scorer = Mahalanobis(normalize=False).fit(train)
    largest = 4.5
    off_plane = scorer.score(np.array([[0, 0, 5.001]]))
    assert off_plane == pytest.approx(0.001**2 / (1e-6 * largest), rel=1e-6)
    assert scorer.score(np.array([[3.0, 0, 5]])) == pytest.approx(9 / largest, rel=1e-9)
