import numpy as np
import pytest
from scipy.stats import spearmanr

from nsa_core.scorers import CCos, Mahalanobis

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
    assert half_turn == pytest.approx(np.pi, abs=1e-12)


def test_tiny_angles_keep_their_digits():
    """An arc cosine in float64 would be 0 or 2e-8 here."""
    scorer = CCos(normalize=False).fit(TRAIN)
    mean = TRAIN.mean(axis=0)
    steps = np.array([1e-10, 2e-10, 3e-10])
    angles = scorer.score(mean + steps[:, None] * (TRAIN[0] - mean))
    np.testing.assert_allclose(angles / angles[0], [1, 2, 3], rtol=1e-3)
