from functools import partial

import numpy as np
import pytest
from scipy.stats import multivariate_normal, spearmanr
from sklearn.mixture import GaussianMixture

from nsa_core import scorers
from nsa_core.errors import InputError
from nsa_core.scorers import GaussianDensity

Mahalanobis = partial(scorers.Mahalanobis, covariance="empirical")

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
TRAIN = RNG.normal(size=(80, 6)) @ MIX + 4
TEST = RNG.normal(size=(30, 6)) @ MIX * 1.3 + 4.2


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_are_minus_the_log_likelihood_of_a_mixture_of_one(normalize):
    """DROC's GDE is scikit-learn's; its full covariance carries a ridge of 1e-6."""
    train, test = (unit(TRAIN), unit(TEST)) if normalize else (TRAIN, TEST)
    reference = GaussianMixture(1, covariance_type="full", reg_covar=1e-6).fit(train)
    ours = GaussianDensity(normalize=normalize).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, -reference.score_samples(test), rtol=1e-8)


@pytest.mark.parametrize("ridge", [1e-9, 1e-3, 10])
def test_scores_are_minus_scipys_log_density(ridge):
    covariance = np.cov(TRAIN.T, bias=True) + ridge * np.eye(6)
    expected = -multivariate_normal(TRAIN.mean(axis=0), covariance).logpdf(TEST)
    ours = GaussianDensity(normalize=False, ridge=ridge).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, expected, rtol=1e-8)


def test_fewer_rows_than_dimensions_are_a_density_for_their_ridge():
    train, test = RNG.normal(size=(20, 50)) + 2, RNG.normal(size=(10, 50)) + 2
    reference = GaussianMixture(1, covariance_type="full", reg_covar=1e-6).fit(unit(train))
    ours = GaussianDensity().fit(train).score(test)
    np.testing.assert_allclose(ours, -reference.score_samples(unit(test)), rtol=1e-6)


def test_the_order_is_that_of_mahalanobis():
    ours = GaussianDensity().fit(TRAIN).score(TEST)
    distance = Mahalanobis().fit(TRAIN).score(TEST)
    assert spearmanr(ours, distance).statistic > 0.999


@pytest.mark.parametrize("ridge", [0, -1e-6, float("nan")])
def test_a_ridge_that_adds_nothing_is_refused(ridge):
    with pytest.raises(InputError, match=f"ridge is {ridge}; need a number above 0"):
        GaussianDensity(ridge=ridge).fit(TRAIN)


def test_a_ridge_too_small_for_the_scale_of_the_features_is_refused():
    large = 1e6 * RNG.normal(size=(20, 50))
    with pytest.raises(InputError, match="ridge is 1e-06, too small for the covariance"):
        GaussianDensity(normalize=False).fit(large)
    assert np.isfinite(GaussianDensity(normalize=False, ridge=1).fit(large).score(large)).all()
