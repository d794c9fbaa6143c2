import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity
from sklearn.svm import SVC

from nsa_core.errors import InputError
from nsa_core.scorers import KDE
from nsa_core.scorers.kernel_density import droc_gamma, squared_distances

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(600, 10)) + 1, RNG.normal(size=(50, 10)) + 1  # more than a block


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("gamma", [0.3, 5, 80])
def test_scores_are_scikit_learns_log_density_over_gamma(gamma):
    """A kernel of width h has gamma = 1 / 2h^2, and the volume (pi / gamma)^(d/2).

    One leaf holds all rows, as scikit-learn's trees lose up to all digits of narrow kernels.
    """
    reference = KernelDensity(bandwidth=(2 * gamma) ** -0.5, leaf_size=600).fit(unit(TRAIN))
    log_volume = 10 / 2 * np.log(np.pi / gamma)
    expected = -(reference.score_samples(unit(TEST)) + log_volume) / gamma
    np.testing.assert_allclose(KDE(gamma).fit(TRAIN).score(TEST), expected, rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.3, 5, None])
def test_scores_are_drocs_formula_up_to_a_constant(gamma):
    """METHODS, section 2.7; |x - y|^2 = 2 - 2 cos(x, y) of unit features."""
    scorer = KDE(gamma).fit(TRAIN)
    used = scorer.gamma_
    droc = -logsumexp(2 * used * unit(TEST) @ unit(TRAIN).T, axis=1) / used
    np.testing.assert_allclose(scorer.score(TEST), droc + 2 + np.log(600) / used, rtol=1e-9)


def test_drocs_gamma_is_ten_times_scikit_learns_scale():
    rows = unit(TRAIN)
    ours = droc_gamma(torch.from_numpy(rows))
    assert ours == pytest.approx(10 / (10 * np.var(rows)), rel=1e-12)
    scale = SVC(gamma="scale").fit(rows, np.arange(600) % 2)._gamma
    assert ours == pytest.approx(10 * scale, rel=1e-12)
    assert KDE().fit(7 * TRAIN).gamma_ == pytest.approx(ours, rel=1e-12)
    assert KDE(3).fit(TRAIN).gamma_ == 3


def test_equal_entries_have_a_gamma_all_the_same():
    assert droc_gamma(torch.full((5, 4), 0.5, dtype=torch.float64)) == 10


def test_a_large_gamma_gives_the_nearest_squared_distance_and_a_small_one_the_mean():
    squared = cdist(unit(TEST), unit(TRAIN)) ** 2
    nearest = KDE(1e6).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(nearest, squared.min(axis=1), atol=1e-5)
    mean = KDE(1e-6).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(mean, squared.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("gamma", [2, 50])
def test_left_out_rows_are_compared_with_all_the_others(gamma):
    squared = cdist(unit(TRAIN), unit(TRAIN)) ** 2
    expected = [
        -(logsumexp(-gamma * np.delete(row, i)) - np.log(599)) / gamma
        for i, row in enumerate(squared)
    ]
    np.testing.assert_allclose(KDE(gamma).fit(TRAIN).leave_one_out(), expected, rtol=1e-9)
    with_itself = KDE(gamma).fit(TRAIN).score(TRAIN)
    assert np.abs(with_itself - expected).max() > 1e-3


def test_one_row_has_no_others_and_two_have_each_other():
    assert KDE().fit(TRAIN[:1]).leave_one_out().tolist() == [0]
    gap = np.linalg.norm(unit(TRAIN[:1]) - unit(TRAIN[1:2])) ** 2
    np.testing.assert_allclose(KDE().fit(TRAIN[:2]).leave_one_out(), [gap, gap], rtol=1e-9)


@pytest.mark.parametrize(("width", "rtol"), [(np.float64, 1e-6), (np.float32, 1e-4)])
def test_compact_features_keep_their_digits(width, rtol):
    """exp(-gamma |x - y|^2) is 1 - 1e-6 here: float32 sums of it would be noise."""
    centre = RNG.uniform(1, 2, 10)
    train, test = ((centre + 1e-4 * (x - 1)).astype(width) for x in (TRAIN, TEST))
    squared = cdist(unit(test.astype(float)), unit(train.astype(float))) ** 2
    scorer = KDE(5).fit(train)
    expected = -np.log1p(np.expm1(-5 * squared).mean(axis=1)) / 5
    assert expected.max() < 1e-6
    np.testing.assert_allclose(scorer.score(test), expected, rtol=rtol)


def test_squared_distances_are_scipys_and_never_negative():
    a, b = torch.from_numpy(TRAIN[:30]), torch.from_numpy(TEST)
    np.testing.assert_allclose(squared_distances(a, b), cdist(a, b) ** 2, rtol=1e-9)
    same = squared_distances(a, a)
    assert same.min() >= 0
    assert same.diagonal().max() < 1e-12


@pytest.mark.parametrize("gamma", [0, -1, float("nan"), float("inf")])
def test_a_gamma_that_is_no_bandwidth_is_refused(gamma):
    with pytest.raises(InputError, match=f"gamma is {gamma}; need a number above 0"):
        KDE(gamma).fit(TRAIN)
