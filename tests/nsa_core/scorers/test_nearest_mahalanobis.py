from functools import partial

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

from nsa_core import scorers

Mahalanobis = partial(scorers.Mahalanobis, covariance="empirical")
NearestMahalanobis = partial(scorers.NearestMahalanobis, covariance="empirical")

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
TRAIN = RNG.normal(size=(80, 6)) @ MIX + 4
TEST = RNG.normal(size=(30, 6)) @ MIX * 1.3 + 4.2


def nearest(train, test, inverse):
    return cdist(test, train, "mahalanobis", VI=inverse).min(axis=1) ** 2


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_are_scipys_smallest_squared_distance(normalize):
    train, test = TRAIN, TEST
    if normalize:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    expected = nearest(train, test, np.linalg.inv(np.cov(train.T, bias=True)))
    ours = NearestMahalanobis(normalize=normalize).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, expected, rtol=1e-8)


def test_a_shrunk_covariance_takes_the_place_of_the_empirical_one():
    expected = nearest(TRAIN, TEST, np.linalg.inv(ledoit_wolf(TRAIN)[0]))
    scorer = NearestMahalanobis(normalize=False, covariance="ledoit-wolf").fit(TRAIN)
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-8)


def test_a_floor_of_almost_one_leaves_the_plain_distance():
    """All eigenvalues are raised to the largest."""
    scorer = NearestMahalanobis(normalize=False, floor=1 - 1e-12).fit(TRAIN)
    largest = np.linalg.eigvalsh(np.cov(TRAIN.T, bias=True))[-1]
    expected = nearest(TRAIN, TEST, np.eye(6) / largest)
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-9)


def test_with_pinv_the_directions_without_variance_do_not_count():
    train, test = RNG.normal(size=(20, 40)) + 3, RNG.normal(size=(10, 40)) + 3
    inverse = np.linalg.pinv(np.cov(train.T, bias=True), rcond=1e-10, hermitian=True)
    scorer = NearestMahalanobis(normalize=False, covariance="pinv").fit(train)
    np.testing.assert_allclose(scorer.score(test), nearest(train, test, inverse), rtol=1e-6)


def test_a_shift_or_an_invertible_linear_map_of_the_features_changes_nothing():
    linear = np.linalg.qr(RNG.normal(size=(6, 6))).Q * np.arange(1, 7)
    plain = NearestMahalanobis(normalize=False, floor=0).fit(TRAIN).score(TEST)
    scorer = NearestMahalanobis(normalize=False, floor=0).fit(TRAIN @ linear - 9)
    mapped = scorer.score(TEST @ linear - 9)
    np.testing.assert_allclose(mapped, plain, rtol=1e-6)


def test_two_clusters_are_both_normal_and_what_lies_between_is_not():
    """The mean lies between the clusters, where the distance to the mean sees no outlier."""
    clusters = RNG.normal(size=(200, 4))
    clusters[:, 0] += np.where(np.arange(200) % 2, 20, -20)
    between = clusters.mean(axis=0, keepdims=True)
    scorer = NearestMahalanobis(normalize=False).fit(clusters)
    assert scorer.score(between)[0] > 2 * np.quantile(scorer.leave_one_out(), 0.5)
    assert Mahalanobis(normalize=False).fit(clusters).score(between)[0] < 1e-9
