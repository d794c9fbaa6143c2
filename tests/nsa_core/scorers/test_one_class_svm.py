import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn import svm

from nsa_core.errors import InputError
from nsa_core.scorers import OneClassSVM, one_class_svm
from nsa_core.scorers.kernel_density import droc_gamma

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(200, 6)) + 1, RNG.normal(size=(60, 6)) * 1.5 + 1


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def scikit_learns(nu, gamma, **options):
    machine = svm.OneClassSVM(kernel="rbf", nu=nu, gamma=gamma, **options).fit(unit(TRAIN))
    return -machine.score_samples(unit(TEST)) / machine.dual_coef_.sum()


@pytest.mark.parametrize("nu", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("gamma", [None, 1, 30])
def test_scores_are_scikit_learns_with_weights_that_sum_to_one(nu, gamma):
    used = droc_gamma(torch.from_numpy(unit(TRAIN))) if gamma is None else gamma
    ours = OneClassSVM(nu, gamma).fit(TRAIN).score(TEST)
    expected = scikit_learns(nu, used, tol=1e-8)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)  # libsvm is let off at 1e-6


def test_the_default_is_drocs_with_the_order_of_libsvms_default_tolerance():
    expected = scikit_learns(0.5, droc_gamma(torch.from_numpy(unit(TRAIN))))
    assert spearmanr(OneClassSVM().fit(TRAIN).score(TEST), expected).statistic > 0.9999


@pytest.mark.parametrize("nu", [0.05, 0.3, 0.8])
def test_nu_bounds_the_share_of_support_vectors_from_below(nu):
    """Proposition 4 of Schölkopf et al.; the weights are at most 1 / (nu n) each."""
    scorer = OneClassSVM(nu).fit(TRAIN)
    assert len(scorer.vectors_) >= nu * 200
    assert scorer.alpha_.sum() == pytest.approx(1, abs=1e-12)
    assert 0 < scorer.alpha_.min() <= scorer.alpha_.max() <= 1.0001 / (nu * 200)


def test_with_almost_all_rows_outside_it_is_almost_the_plain_mean_of_kernels():
    squared = ((unit(TEST)[:, None] - unit(TRAIN)) ** 2).sum(axis=2)
    ours = OneClassSVM(nu=1 - 1e-9, gamma=3).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, -np.exp(-3 * squared).mean(axis=1), rtol=1e-6)


def test_of_too_many_rows_evenly_spaced_ones_are_used(monkeypatch):
    monkeypatch.setattr(one_class_svm, "MAX_ROWS", 50)
    capped = OneClassSVM().fit(TRAIN)
    chosen = [round(i * 199 / 49) for i in range(50)]
    np.testing.assert_allclose(capped.score(TEST), OneClassSVM().fit(TRAIN[chosen]).score(TEST))
    assert len(np.unique(chosen)) == 50
    assert len(capped.vectors_) <= 50


def test_rows_that_were_too_many_have_training_scores_all_the_same(monkeypatch):
    monkeypatch.setattr(one_class_svm, "MAX_ROWS", 50)
    capped = OneClassSVM().fit(TRAIN)
    np.testing.assert_allclose(capped.leave_one_out(), capped.score(TRAIN), rtol=1e-9)


@pytest.mark.parametrize("nu", [0, -0.1, 1, 1.5, float("nan")])
def test_a_nu_that_is_no_share_is_refused(nu):
    with pytest.raises(InputError, match=rf"nu is {nu}; need a share in \(0, 1\)"):
        OneClassSVM(nu).fit(TRAIN)


@pytest.mark.parametrize("gamma", [0, -1, float("nan"), float("inf")])
def test_a_gamma_that_is_no_bandwidth_is_refused(gamma):
    with pytest.raises(InputError, match=f"gamma is {gamma}; need a number above 0"):
        OneClassSVM(gamma=gamma).fit(TRAIN)
