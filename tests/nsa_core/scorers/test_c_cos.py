from functools import partial

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from nsa_core import scorers

CCos = partial(scorers.CCos, covariance="empirical")
Mahalanobis = partial(scorers.Mahalanobis, covariance="empirical")

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
TRAIN = RNG.normal(size=(200, 6)) @ MIX + 20
TEST = RNG.normal(size=(100, 6)) @ MIX * 1.5 + 20


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_equal_the_formula_with_the_inverse_covariance(normalize):
    scorer = CCos(normalize=normalize).fit(TRAIN)
    train, test = TRAIN, TEST
    if normalize:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    mean = train.mean(axis=0)
    inverse = np.linalg.inv(np.cov(train.T, bias=True))
    expected = [
        np.arccos(mean @ inverse @ x / np.sqrt((mean @ inverse @ mean) * (x @ inverse @ x)))
        for x in test
    ]
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-6)


@pytest.mark.parametrize("dim", [32, 128])
def test_on_compact_features_its_auroc_is_that_of_mahalanobis(dim):
    """METHODS, section 3.5: 56.2 and 56.3, 72.6 and 72.5, ... on features of networks."""
    mean, scale = RNG.uniform(0.5, 2, dim), np.geomspace(1, 0.1, dim) * 0.1
    train = mean + scale * RNG.normal(size=(600, dim))
    inliers = mean + scale * RNG.normal(size=(300, dim))
    outliers = mean + 1.1 * scale * RNG.normal(size=(300, dim))
    labels = np.repeat([0, 1], 300)
    test = np.concatenate([inliers, outliers])
    ours = roc_auc_score(labels, CCos().fit(train).score(test))
    distance = roc_auc_score(labels, Mahalanobis().fit(train).score(test))
    assert 0.6 < distance < 0.99
    assert ours == pytest.approx(distance, abs=0.01)


def slow_centred(train, test):
    """Variant B of METHODS, section 3.5, one feature at a time."""
    mean = train.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(train.T, bias=True))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    units = []
    for x in train:
        white = root @ (x - mean)
        units.append(white / np.linalg.norm(white))
    centre = np.mean(units, axis=0)
    scores = []
    for x in test:
        white = root @ (x - mean)
        scores.append(np.arccos(white @ centre / np.linalg.norm(white) / np.linalg.norm(centre)))
    return scores


@pytest.mark.parametrize("normalize", [True, False])
def test_centred_it_is_the_angle_to_the_mean_of_unit_whitened_features(normalize):
    train, test = TRAIN, TEST
    if normalize:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    scorer = CCos(center=True, normalize=normalize).fit(TRAIN)
    np.testing.assert_allclose(scorer.score(TEST), slow_centred(train, test), rtol=1e-4)


def test_centred_it_tells_nothing_of_the_distance_to_the_mean():
    scorer = CCos(center=True, normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    near, far = mean + 0.1 * (TEST - mean), mean + 10 * (TEST - mean)
    np.testing.assert_allclose(scorer.score(near), scorer.score(far), rtol=1e-9)


def test_a_shrunk_covariance_is_inverted_in_place_of_the_empirical_one():
    scorer = CCos(normalize=False, covariance="ledoit-wolf").fit(TRAIN)
    mean, inverse = TRAIN.mean(axis=0), np.linalg.inv(ledoit_wolf(TRAIN)[0])
    cosine = TEST @ inverse @ mean / np.sqrt(mean @ inverse @ mean)
    cosine /= np.sqrt(np.einsum("ni,ij,nj->n", TEST, inverse, TEST))
    np.testing.assert_allclose(scorer.score(TEST), np.arccos(cosine), rtol=1e-6)


def test_a_floor_of_almost_one_leaves_the_plain_angle_to_the_mean():
    """All eigenvalues are raised to the largest."""
    scorer = CCos(normalize=False, floor=1 - 1e-12).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    cosine = TEST @ mean / np.linalg.norm(TEST, axis=1) / np.linalg.norm(mean)
    np.testing.assert_allclose(scorer.score(TEST), np.arccos(cosine), rtol=1e-6)


def test_with_a_large_mean_it_ranks_almost_as_mahalanobis():
    """METHODS, section 3.5."""
    mix = RNG.normal(size=(64, 64))  # of 64 directions one is the mean's own
    train = RNG.normal(size=(400, 64)) @ mix + 50
    test = RNG.normal(size=(200, 64)) * RNG.uniform(0.8, 1.6, (200, 1)) @ mix + 50
    ours = CCos(normalize=False).fit(train).score(test)
    distance = Mahalanobis(normalize=False).fit(train).score(test)
    assert spearmanr(ours, distance).statistic > 0.95


def test_offsets_orthogonal_to_the_mean_give_the_arc_tangent_of_mahalanobis():
    scorer = CCos(normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    inverse = np.linalg.inv(np.cov(TRAIN.T, bias=True))
    length2 = mean @ inverse @ mean
    offset = TEST - mean
    offset -= np.outer(offset @ inverse @ mean / length2, mean)
    distance2 = np.einsum("ni,ij,nj->n", offset, inverse, offset)
    expected = np.arctan(np.sqrt(distance2 / length2))
    np.testing.assert_allclose(scorer.score(mean + offset), expected, rtol=1e-6)


def test_the_mean_is_at_no_angle_and_its_opposite_at_a_half_turn():
    scorer = CCos(normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0, keepdims=True)
    zero, half_turn = scorer.score(np.concatenate([3 * mean, -mean]))
    assert zero < 1e-12
    assert half_turn == pytest.approx(np.pi, abs=1e-7)  # a chord near 2 says little of its angle


def test_tiny_angles_keep_their_digits():
    """An arc cosine in float64 would be 0 or 2e-8 here."""
    scorer = CCos(normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    steps = np.array([1e-10, 2e-10, 3e-10])
    angles = scorer.score(mean + steps[:, None] * (TRAIN[0] - mean))
    np.testing.assert_allclose(angles / angles[0], [1, 2, 3], rtol=1e-3)
