from functools import partial

import numpy as np
import pytest
import torch

from nsa_core.errors import InputError
from nsa_core.scorers import CCos, CosineKNN, KCos, LayerEnsemble, Mahalanobis

RNG = np.random.default_rng(0)
MEANS = [RNG.uniform(1, 3, dim) for dim in (4, 8, 6)]
TRAIN = [0.3 * RNG.normal(size=(200, len(mean))) + mean for mean in MEANS]
TEST = [0.4 * RNG.normal(size=(50, len(mean))) + mean for mean in MEANS]


def nearest_angles(train, test):
    """Angles to the nearest training row, and those of training rows to their nearest others."""
    train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    left_out = [np.arccos((np.delete(train, i, axis=0) @ x).max()) for i, x in enumerate(train)]
    return np.array(left_out), np.array([np.arccos((train @ x).max()) for x in test])


def distance(train, x):
    offset = x - train.mean(axis=0)
    return offset @ np.linalg.solve(np.cov(train.T, bias=True), offset)


def distances(train, test):
    """Squared Mahalanobis distances; those of training rows to a fit without them."""
    left_out = [distance(np.delete(train, i, axis=0), x) for i, x in enumerate(train)]
    return np.array(left_out), np.array([distance(train, x) for x in test])


def slow(train_layers, test_layers):
    """Leave-one-out min-max of every layer and both scorers, added up one row at a time."""
    totals = [0.0] * len(test_layers[0])
    for train, test in zip(train_layers, test_layers, strict=True):
        for pair in (nearest_angles(train, test), distances(train, test)):
            low, high = min(pair[0]), max(pair[0])
            for row, score in enumerate(pair[1]):
                totals[row] += (score - low) / (high - low)
    return totals


def test_scores_are_the_sum_over_layers_and_scorers_of_leave_one_out_min_max():
    mahalanobis = partial(Mahalanobis, normalize=False, covariance="empirical")
    ensemble = LayerEnsemble([CosineKNN, mahalanobis], "min-max").fit(TRAIN)
    np.testing.assert_allclose(ensemble.score(TEST), slow(TRAIN, TEST), rtol=1e-6)


def test_the_default_is_c_cos_of_every_layer_on_quantiles():
    ours = LayerEnsemble().fit(TRAIN).score(TEST)
    np.testing.assert_array_equal(ours, LayerEnsemble([CCos], "quantile").fit(TRAIN).score(TEST))


def test_ranks_are_shares_of_training_scores_below():
    expected = np.zeros(50)
    for train, test in zip(TRAIN, TEST, strict=True):
        scorer = CCos().fit(train)
        left_out = scorer.leave_one_out()
        for row, score in enumerate(scorer.score(test)):
            expected[row] += np.mean(left_out < score) + np.mean(left_out == score) / 2
    ours = LayerEnsemble(scale="rank").fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert 0 <= expected.min() <= expected.max() <= len(TRAIN)


@pytest.mark.parametrize(("span", "cut"), [("min-max", 0), ("quantile", 0.005)])
def test_k_cos_and_c_cos_of_every_layer_on_the_range_of_training_scores(span, cut):
    expected = np.zeros(50)
    for train, test in zip(TRAIN, TEST, strict=True):
        for scorer in (KCos(), CCos()):
            left_out = scorer.fit(train).leave_one_out()
            low, high = np.quantile(left_out, [cut, 1 - cut])
            expected += (scorer.score(test) - low) / (high - low)
    ours = LayerEnsemble([KCos, CCos], span).fit(TRAIN).score(TEST)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_without_leaving_out_there_would_be_no_scale():
    """METHODS, section 3.9: a training row's nearest training row is itself."""
    assert KCos().fit(TRAIN[0]).score(TRAIN[0]).max() < 1e-12
    assert LayerEnsemble([KCos], "min-max").fit(TRAIN).score(TEST).max() < 20


def test_layers_weigh_alike_whatever_their_scale():
    scorers = [partial(Mahalanobis, normalize=False)]
    plain = LayerEnsemble(scorers).fit(TRAIN).score(TEST)
    scaled = [[1e3 * layers[0], layers[1], 1e-3 * layers[2]] for layers in (TRAIN, TEST)]
    ours = LayerEnsemble(scorers).fit(scaled[0]).score(scaled[1])
    np.testing.assert_allclose(ours, plain, rtol=1e-6)


def test_the_order_of_layers_does_not_matter_and_tensors_are_as_good_as_arrays():
    plain = LayerEnsemble().fit(TRAIN).score(TEST)
    ensemble = LayerEnsemble().fit([torch.from_numpy(layer) for layer in TRAIN[::-1]])
    turned = ensemble.score([torch.from_numpy(layer) for layer in TEST[::-1]])
    np.testing.assert_allclose(turned, plain, rtol=1e-12)


def test_scores_beyond_the_training_scores_are_not_clipped():
    far = [np.concatenate([-mean[None], mean[None]]) for mean in MEANS]
    outlier, centre = LayerEnsemble([CCos], "min-max").fit(TRAIN).score(far)
    assert outlier > 3 * 1.5
    assert centre < 0


def test_parts_are_put_on_the_scale_of_their_training_scores():
    train, test = np.array([2.0, 4, 3]), np.array([1.0, 2, 3, 4, 6])
    expected = [-0.5, 0, 0.5, 1, 2]
    assert LayerEnsemble(scale="min-max").combine([(train, test)]).tolist() == expected
    assert LayerEnsemble(scale="rank").combine([(train, test)]).tolist() == [
        0,
        0.5 / 3,
        0.5,
        2.5 / 3,
        1,
    ]
    assert LayerEnsemble(scale="min-max").combine([(train, test)] * 3).tolist() == [
        3 * x for x in expected
    ]


def test_a_part_whose_training_scores_are_equal_adds_nothing():
    train, test = RNG.normal(size=100), RNG.normal(size=20)
    for span in ("min-max", "quantile"):
        alone = LayerEnsemble(scale=span).combine([(train, test)])
        constant = (np.full(100, 0.3), RNG.normal(size=20))
        np.testing.assert_array_equal(
            LayerEnsemble(scale=span).combine([constant, (train, test)]), alone
        )
        assert LayerEnsemble(scale=span).combine([constant]).tolist() == [0] * 20


def test_a_collapsed_layer_adds_nothing():
    collapsed = [np.ones((rows, 5)) for rows in (200, 50)]
    plain = LayerEnsemble([CosineKNN], "min-max").fit(TRAIN).score(TEST)
    ours = (
        LayerEnsemble([CosineKNN], "min-max")
        .fit([*TRAIN, collapsed[0]])
        .score([*TEST, collapsed[1]])
    )
    np.testing.assert_array_equal(ours, plain)


def test_an_outlier_in_the_training_set_stretches_min_max_but_hardly_the_quantiles():
    clean = [0.3 * RNG.normal(size=(1000, len(mean))) + mean for mean in MEANS]
    polluted = [np.concatenate([layer[:-1], -layer[-1:]]) for layer in clean]

    def spread(span, train):
        return LayerEnsemble([CosineKNN], span).fit(train).score(TEST).std()

    assert spread("min-max", polluted) < 0.3 * spread("min-max", clean)
    assert spread("quantile", polluted) > 0.9 * spread("quantile", clean)


def test_layers_of_different_numbers_of_rows_are_refused():
    with pytest.raises(InputError, match=r"the layers have \[150, 200\] rows; need one number"):
        LayerEnsemble().fit([TRAIN[0], TRAIN[1][:150]])
    with pytest.raises(InputError, match=r"the layers have \[20, 50\] rows; need one number"):
        LayerEnsemble().fit(TRAIN).score([TEST[0], TEST[1], TEST[2][:20]])


def test_another_number_of_layers_is_refused_with_both():
    with pytest.raises(InputError, match=r"the layers have \[\] rows; .* at least one layer"):
        LayerEnsemble().fit([])
    with pytest.raises(InputError, match="2 layers given; the ensemble was fit on 3"):
        LayerEnsemble().fit(TRAIN).score(TEST[:2])


def test_an_ensemble_of_no_scorers_is_refused():
    with pytest.raises(InputError, match="no scorers given; the ensemble needs at least one"):
        LayerEnsemble([]).fit(TRAIN)


def test_an_unknown_scale_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown scale 'quantiles'; did you mean 'quantile'"):
        LayerEnsemble(scale="quantiles").fit(TRAIN)
