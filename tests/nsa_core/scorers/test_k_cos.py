from functools import partial

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from nsa_core import scorers

KCos = partial(scorers.KCos, center=True, covariance="empirical")  # Eq. 2 to the letter

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
TRAIN = RNG.normal(size=(80, 6)) @ MIX + 4
TEST = RNG.normal(size=(30, 6)) @ MIX * 1.3 + 4.2


def slow(train, test, *, center, normalize, covariance=None):
    """Eq. 2 of NSA, one pair of features at a time."""
    if normalize:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    mean = train.mean(axis=0)
    if covariance is None:
        covariance = sum(np.outer(x - mean, x - mean) for x in train) / len(train)
    values, vectors = np.linalg.eigh(covariance)
    assert values[0] > 1e-5 * values[-1]  # nothing is floored here
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    origin = mean if center else 0
    scores = []
    for x in test:
        u = root @ (x - origin)
        cosines = []
        for t in train:
            v = root @ (t - origin)
            cosines.append(u @ v / np.sqrt((u @ u) * (v @ v)))
        scores.append(np.arccos(max(cosines)))
    return np.array(scores)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_scores_equal_equation_2_pair_by_pair(center, normalize):
    scorer = KCos(center=center, normalize=normalize).fit(TRAIN)
    expected = slow(TRAIN, TEST, center=center, normalize=normalize)
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-5)


def test_eq_2_to_the_letter_is_registered():
    expected = slow(TRAIN, TEST, center=True, normalize=True)
    ours = scorers.build("k-cos-literal").fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_uncentred_shrunk_and_scaled_is_the_default():
    unit = TRAIN / np.linalg.norm(TRAIN, axis=1, keepdims=True)
    shrunk = ledoit_wolf(unit)[0]
    expected = slow(TRAIN, TEST, center=False, normalize=True, covariance=shrunk)
    for scorer in (scorers.KCos(), scorers.build("k-cos")):
        np.testing.assert_allclose(scorer.fit(TRAIN).score(TEST), expected, rtol=1e-5)


@pytest.mark.parametrize("center", [True, False])
def test_a_shrunk_covariance_takes_the_place_of_the_empirical_one(center):
    scorer = KCos(center=center, normalize=False, covariance="ledoit-wolf").fit(TRAIN)
    shrunk, _ = ledoit_wolf(TRAIN)
    expected = slow(TRAIN, TEST, center=center, normalize=False, covariance=shrunk)
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-5)


@pytest.mark.parametrize("center", [True, False])
def test_a_floor_of_almost_one_leaves_the_plain_angle(center):
    """All eigenvalues are raised to the largest."""
    scorer = KCos(center=center, normalize=False, floor=1 - 1e-12).fit(TRAIN)
    expected = slow(TRAIN, TEST, center=center, normalize=False, covariance=np.eye(6))
    np.testing.assert_allclose(scorer.score(TEST), expected, rtol=1e-5)


@pytest.mark.parametrize("center", [True, False])
def test_with_pinv_the_directions_without_variance_do_not_count(center):
    """Rows that differ only there score alike, and as if the dimensions were absent."""
    plain = KCos(center=center, normalize=False, covariance="pinv").fit(TRAIN).score(TEST)
    train, test = (np.concatenate([x, np.full((len(x), 2), 5.0)], 1) for x in (TRAIN, TEST))
    scorer = KCos(center=center, normalize=False, covariance="pinv").fit(train)
    np.testing.assert_allclose(scorer.score(test), plain, rtol=1e-6)
    test[:, 6:] = RNG.normal(size=(30, 2))
    np.testing.assert_allclose(scorer.score(test), plain, rtol=1e-6)


@pytest.mark.parametrize("center", [True, False])
def test_an_invertible_linear_map_of_the_features_changes_nothing(center):
    """METHODS, section 7: a property of whitening while no eigenvalue is floored."""
    linear = RNG.normal(size=(6, 6)) + 2 * np.eye(6)
    assert np.linalg.cond(linear) < 100
    plain = KCos(center=center, normalize=False).fit(TRAIN).score(TEST)
    mapped = KCos(center=center, normalize=False).fit(TRAIN @ linear).score(TEST @ linear)
    np.testing.assert_allclose(mapped, plain, rtol=1e-5)


def test_a_shift_of_the_features_changes_nothing_when_centred():
    plain = KCos(normalize=False).fit(TRAIN).score(TEST)
    shifted = KCos(normalize=False).fit(TRAIN + 7).score(TEST + 7)
    np.testing.assert_allclose(shifted, plain, rtol=1e-5)
    loose = KCos(center=False, normalize=False)
    assert np.abs(loose.fit(TRAIN + 7).score(TEST + 7) - loose.fit(TRAIN).score(TEST)).max() > 0.01


def test_centred_angle_knows_nothing_of_the_distance_to_the_mean():
    scorer = KCos(normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    near, far = mean + 0.1 * (TEST - mean), mean + 10 * (TEST - mean)
    np.testing.assert_allclose(scorer.score(near), scorer.score(far), rtol=1e-5)


@pytest.mark.parametrize("center", [True, False])
def test_a_training_row_is_at_no_angle_from_itself(center):
    assert KCos(center=center).fit(TRAIN).score(TRAIN).max() < 1e-12
