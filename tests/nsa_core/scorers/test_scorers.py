"""The contract of every scorer."""

import numpy as np
import pytest
import torch

from nsa_core import scorers
from nsa_core.errors import InputError

RNG = np.random.default_rng(0)
DIM = 8
MEAN = RNG.uniform(1, 3, DIM)
TRAIN = RNG.normal(size=(60, DIM)) * 0.3 + MEAN
TEST = RNG.normal(size=(25, DIM)) * 0.4 + MEAN


@pytest.fixture(params=scorers.available())
def name(request):
    return request.param


@pytest.fixture
def scores(name):
    def of(train=TRAIN, test=TEST):
        return scorers.build(name).fit(train).score(test)

    return of


def test_scores_are_one_float64_for_each_row_and_finite(scores):
    values = scores()
    assert isinstance(values, np.ndarray)
    assert values.shape == (25,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert len(np.unique(values)) == 25


def test_the_same_features_give_the_same_bits(scores):
    np.testing.assert_array_equal(scores(), scores())


def test_a_row_is_scored_alike_in_any_company(scores):
    values = scores()
    order = RNG.permutation(25)
    np.testing.assert_allclose(scores(test=TEST[order]), values[order], rtol=1e-9)
    np.testing.assert_allclose(scores(test=TEST[3:4]), values[3:4], rtol=1e-9)


def test_the_order_of_training_rows_does_not_matter(scores):
    shuffled = TRAIN[RNG.permutation(len(TRAIN))]
    np.testing.assert_allclose(scores(train=shuffled), scores(), rtol=1e-6)


def test_tensors_and_arrays_of_either_width_agree(scores):
    values = scores()
    tensors = scores(torch.from_numpy(TRAIN).requires_grad_(), torch.from_numpy(TEST))
    np.testing.assert_array_equal(tensors, values)
    narrow = scores(TRAIN.astype(np.float32), TEST.astype(np.float32))
    np.testing.assert_allclose(narrow, values, rtol=1e-3)
    strided = scores(np.asfortranarray(TRAIN), TEST[::-1].copy()[::-1].copy())
    np.testing.assert_allclose(strided, values, rtol=1e-9)


def test_an_obvious_outlier_scores_above_an_inlier(scores):
    inlier = TRAIN[:1] * (1 + 1e-3 * RNG.normal(size=(1, DIM)))
    outlier = MEAN * np.where(np.arange(DIM) % 2, 3.0, -3.0)
    low, high = scores(test=np.concatenate([inlier, outlier[None]]))
    assert high > 2 * low


def test_constant_training_features_give_finite_scores(scores):
    values = scores(train=np.repeat(TRAIN[:1], 20, axis=0))
    assert np.isfinite(values).all()


def test_a_single_training_row_gives_finite_scores(scores):
    assert np.isfinite(scores(train=TRAIN[:1])).all()


def test_fewer_samples_than_dimensions_give_finite_scores_that_tell_outliers(scores):
    wide_mean = RNG.uniform(1, 2, 50)
    train = RNG.normal(size=(20, 50)) * 0.1 + wide_mean
    values = scores(train, np.concatenate([train[:5], -train[:5]]))
    assert np.isfinite(values).all()
    assert values[:5].max() < values[5:].min()


def test_a_dead_dimension_gives_finite_scores(scores):
    dead = np.where(np.arange(DIM) == 2, 0, TRAIN)
    assert np.isfinite(scores(train=dead)).all()


def test_duplicated_training_rows_change_nothing(scores):
    np.testing.assert_allclose(scores(train=np.repeat(TRAIN, 3, axis=0)), scores(), rtol=1e-6)


def test_the_scale_of_features_does_not_matter(scores):
    scaled = scores(TRAIN * RNG.uniform(0.1, 10, (60, 1)), TEST * RNG.uniform(0.1, 10, (25, 1)))
    np.testing.assert_allclose(scaled, scores(), rtol=1e-6)


def test_features_are_left_as_they_were(scores):
    train, test = TRAIN.copy(), TEST.copy()
    scores(train, test)
    np.testing.assert_array_equal(train, TRAIN)
    np.testing.assert_array_equal(test, TEST)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_by_row(scores, bad):
    broken = TRAIN.copy()
    broken[7, 2] = bad
    for arguments in ({"train": broken}, {"test": broken}):
        with pytest.raises(InputError, match="feature row 7 holds NaN or infinity"):
            scores(**arguments)


def test_a_row_of_zeros_is_refused(scores):
    broken = TRAIN.copy()
    broken[4] = 0
    for arguments in ({"train": broken}, {"test": broken}):
        with pytest.raises(InputError, match="feature row 4 is all zeros"):
            scores(**arguments)


def test_features_of_another_dimension_are_refused_with_both(scores):
    with pytest.raises(InputError, match="features have 7 dimensions; the scorer was fit on 8"):
        scores(test=TEST[:, :7])


@pytest.mark.parametrize("shape", [(5,), (0, DIM), (5, 0), (2, 3, DIM)], ids=str)
def test_what_is_no_matrix_of_features_is_refused(scores, shape):
    for arguments in ({"train": np.ones(shape)}, {"test": np.ones(shape)}):
        with pytest.raises(InputError, match=r"features are \[.*; need \[N, d\]"):
            scores(**arguments)


def test_an_unknown_scorer_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown scorer 'kcos'; did you mean 'k-cos'"):
        scorers.build("kcos")
    assert scorers.available() == sorted(scorers.available())
