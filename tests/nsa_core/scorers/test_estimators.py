"""Scorers as scikit-learn's estimators: by its own checks, where they apply to features."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from nsa_core import scorers
from nsa_core.scorers import KDE, CCos, CosineKNN, KCos, LayerEnsemble, OneClassSVM

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(1, 0.3, (40, 6)), RNG.normal(1, 0.4, (9, 6))
ENSEMBLE = LayerEnsemble((CCos, KCos), "rank")
ALL = [scorers.build(name) for name in scorers.available()]
OTHERS = [KCos(covariance="pinv", floor=0.01), CosineKNN(3), KDE(2.0), OneClassSVM(0.3), ENSEMBLE]
CHECKS_OF_FITS = (
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_unfitted",
    "check_fit_check_is_fitted",
    "check_fit2d_1feature",
    "check_readonly_memmap_input",
)
CHECKS = (  # those that need no data of scikit-learn's own making
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.fixture(params=ALL + OTHERS, ids=repr)
def scorer(request):
    return request.param


@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learns_checks_of_an_estimator_hold(scorer, check):
    getattr(estimator_checks, check)(type(scorer).__name__, scorer)


@pytest.mark.parametrize("check", CHECKS_OF_FITS)
@pytest.mark.parametrize("scorer", ALL, ids=repr)
def test_scikit_learns_checks_of_a_fit_hold(scorer, check):
    getattr(estimator_checks, check)(type(scorer).__name__, scorer)


def test_a_clone_has_the_same_settings_and_has_learnt_nothing(scorer):
    fitted = clone(scorer)
    layers = [TRAIN, TRAIN[:, :4]] if isinstance(scorer, LayerEnsemble) else TRAIN
    fitted.fit(layers)
    copy = clone(fitted)
    assert copy.get_params() == scorer.get_params()
    with pytest.raises(NotFittedError):
        copy.score(layers)
    np.testing.assert_array_equal(copy.fit(layers).score(layers), fitted.score(layers))


@pytest.mark.parametrize("scorer", ALL, ids=repr)
def test_scikit_learns_own_score_is_the_opposite(scorer):
    found = clone(scorer).fit(TRAIN)
    np.testing.assert_array_equal(found.score_samples(TEST), -found.score(TEST))


def test_a_scorer_ends_a_pipeline_and_is_set_up_through_it():
    line = make_pipeline(StandardScaler(), KCos())
    for settings in ParameterGrid({"kcos__covariance": ["pinv", "empirical"]}):
        line.set_params(**settings).fit(TRAIN)
        direct = KCos(covariance=settings["kcos__covariance"])
        scaler = StandardScaler().fit(TRAIN)
        direct.fit(scaler.transform(TRAIN))
        expected = -direct.score(scaler.transform(TEST))
        np.testing.assert_array_equal(line.score_samples(TEST), expected)
