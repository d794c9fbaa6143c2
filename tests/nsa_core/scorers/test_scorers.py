"""The contract of every scorer, with its default settings and with other ones."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from nsa_core import scorers
from nsa_core.errors import InputError
from nsa_core.scorers import (
    KDE,
    CCos,
    CosineKNN,
    GaussianDensity,
    KCos,
    Mahalanobis,
    NearestMahalanobis,
    OneClassSVM,
)
from nsa_core.training import score_versions

RNG = np.random.default_rng(0)
DIM = 8
MEAN = RNG.uniform(1, 3, DIM)
TRAIN = RNG.normal(size=(60, DIM)) * 0.3 + MEAN
TEST = RNG.normal(size=(25, DIM)) * 0.4 + MEAN

SCORERS = {name: partial(scorers.build, name) for name in scorers.available()} | {
    "c-cos centred": partial(CCos, center=True),
    "c-cos empirical": partial(CCos, covariance="empirical"),
    "c-cos pinv": partial(CCos, covariance="pinv"),
    "c-cos raw": partial(CCos, normalize=False),
    "cosine 3-nn": partial(CosineKNN, 3),
    "gaussian-density raw": partial(GaussianDensity, normalize=False),
    "k-cos floor": partial(KCos, covariance="empirical", floor=0.01),
    "k-cos empirical": partial(KCos, covariance="empirical"),
    "k-cos pinv": partial(KCos, covariance="pinv"),
    "k-cos student-t": partial(KCos, covariance="student-t"),
    "k-cos raw": partial(KCos, normalize=False),
    "kde sharp": partial(KDE, 100),
    "mahalanobis empirical": partial(Mahalanobis, covariance="empirical"),
    "mahalanobis pinv": partial(Mahalanobis, covariance="pinv"),
    "mahalanobis raw": partial(Mahalanobis, normalize=False),
    "nearest-mahalanobis pinv raw": partial(NearestMahalanobis, covariance="pinv", normalize=False),
    "oc-svm tight": partial(OneClassSVM, 0.1, 5),
}
RAW = {n for n in SCORERS if n.endswith("raw")}
SIGNED = {n for n in SCORERS if "oc-svm" in n or "gaussian" in n}  # minus a kernel, log-densities
# To these a copy is a row like any other; Ledoit and Wolf shrink less for a larger n.
SHRUNK = {"c-cos", "c-cos-raw", "c-cos centred", "c-cos raw", "k-cos", "k-cos raw", "mahalanobis"}
SHRUNK |= {"mahalanobis raw", "nearest-mahalanobis"}
COUNTING = {"cosine 3-nn"} | SHRUNK
TELLING = [n for n in SCORERS if n != "c-cos centred"]  # its direction is mostly noise
LEAVING = [n for n in SCORERS if n != "c-cos centred"]  # it refuses
NEIGHBOURS = ["cosine-knn", "k-cos", "k-cos-literal", "nearest-mahalanobis"]


@pytest.fixture(params=SCORERS)
def name(request):
    return request.param


@pytest.fixture
def make(name):
    return SCORERS[name]


@pytest.fixture
def scores(make):
    def of(train=TRAIN, test=TEST):
        return make().fit(train).score(test)

    return of


@pytest.fixture
def same(name):
    """Equal but for rounding; libsvm solves for its weights to 1e-6 only."""
    return partial(np.testing.assert_allclose, rtol=1e-5 if "oc-svm" in name else 1e-6)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_scores_are_one_float64_for_each_row_and_finite(scores, name):
    values = scores()
    assert isinstance(values, np.ndarray)
    assert values.shape == (25,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert values.min() >= 0 or name in SIGNED
    assert len(np.unique(values)) == 25


def test_the_same_features_give_the_same_bits(scores):
    np.testing.assert_array_equal(scores(), scores())


@pytest.mark.parametrize("name", LEAVING)
def test_the_same_features_give_the_same_bits_left_out(make):
    np.testing.assert_array_equal(
        make().fit(TRAIN).leave_one_out(), make().fit(TRAIN).leave_one_out()
    )


def test_a_row_is_scored_alike_in_any_company(scores):
    values = scores()
    order = RNG.permutation(25)
    np.testing.assert_allclose(scores(test=TEST[order]), values[order], rtol=1e-9)
    np.testing.assert_allclose(scores(test=TEST[3:4]), values[3:4], rtol=1e-9)


def test_more_rows_than_a_block_are_scored_one_as_another(make):
    many = np.tile(TEST, (100, 1))
    scorer = make().fit(TRAIN)
    np.testing.assert_allclose(scorer.score(many), np.tile(scorer.score(TEST), 100), rtol=1e-9)


def test_the_order_of_training_rows_does_not_matter(scores, same):
    same(scores(train=TRAIN[RNG.permutation(len(TRAIN))]), scores())


def test_tensors_and_arrays_of_either_width_agree(scores):
    values = scores()
    tensors = scores(torch.from_numpy(TRAIN).requires_grad_(), torch.from_numpy(TEST))
    np.testing.assert_array_equal(tensors, values)
    narrow = scores(TRAIN.astype(np.float32), TEST.astype(np.float32))
    np.testing.assert_allclose(narrow, values, rtol=1e-3, atol=1e-3 * values.std())
    strided = scores(np.asfortranarray(TRAIN), TEST[::-1].copy()[::-1].copy())
    np.testing.assert_allclose(strided, values, rtol=1e-9)


def test_compact_float32_features_lose_no_digits_to_the_narrow_products(make):
    """Both calls see the same numbers; only the precision of the products differs.

    Of unit features with a spread of 1e-3, one direction has a spread of 1e-6. Without a floor
    (pinv) it is blown up a thousandfold, and so is the rounding.
    """
    train, test = ((MEAN + 1e-3 * (x - MEAN)).astype(np.float32) for x in (TRAIN, TEST))
    scorer = make().fit(train)
    narrow, wide = scorer.score(test), scorer.score(test.astype(np.float64))
    assert np.abs(narrow - wide).max() < 5e-3 * wide.std()


@pytest.mark.parametrize("name", TELLING)
def test_an_obvious_outlier_scores_above_an_inlier(scores, name):
    inlier = TRAIN[:1] * (1 + 1e-3 * RNG.normal(size=(1, DIM)))
    outlier = MEAN * np.where(np.arange(DIM) % 2, 3.0, -3.0)
    low, high = scores(test=np.concatenate([inlier, outlier[None]]))
    assert high > low
    if name not in SIGNED:
        assert high > 2 * low


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("copies", [2, 20])
def test_constant_training_features_give_finite_scores(make, copies):
    scorer = make().fit(np.repeat(TRAIN[:1], copies, axis=0))
    assert np.isfinite(scorer.score(TEST)).all()
    assert np.isfinite(scorer.leave_one_out()).all()


@pytest.mark.parametrize("name", LEAVING)
def test_a_single_training_row_gives_finite_scores(make):
    scorer = make().fit(TRAIN[:1])
    assert np.isfinite(scorer.score(TEST)).all()
    assert np.isfinite(scorer.leave_one_out()).all()


def test_fewer_samples_than_dimensions_give_finite_scores_that_tell_outliers(scores, name):
    wide_mean = RNG.uniform(1, 2, 50)
    train = RNG.normal(size=(20, 50)) * 0.1 + wide_mean
    values = scores(train, np.concatenate([train[:5], -train[:5]]))
    assert np.isfinite(values).all()
    if name in TELLING:
        assert values[:5].max() < values[5:].min()


def test_a_dead_dimension_gives_finite_scores(scores):
    dead = np.where(np.arange(DIM) == 2, 0, TRAIN)
    assert np.isfinite(scores(train=dead)).all()


@pytest.mark.parametrize("name", [n for n in SCORERS if n not in COUNTING])
def test_duplicated_training_rows_change_nothing(scores, same):
    same(scores(train=np.repeat(TRAIN, 3, axis=0)), scores())


def test_the_scale_of_features_does_not_matter(scores, same, name):
    scaled = scores(TRAIN * RNG.uniform(0.1, 10, (60, 1)), TEST * RNG.uniform(0.1, 10, (25, 1)))
    if name in RAW:
        assert np.abs(scaled / scores() - 1).max() > 0.01
    else:
        same(scaled, scores())


@pytest.mark.parametrize("name", LEAVING)
def test_features_are_left_as_they_were(make):
    train, test = TRAIN.copy(), TEST.copy()
    scorer = make().fit(train)
    first = scorer.score(test)
    scorer.leave_one_out()
    np.testing.assert_array_equal(scorer.score(test), first)
    np.testing.assert_array_equal(train, TRAIN)
    np.testing.assert_array_equal(test, TEST)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_by_row(scores, bad):
    broken = TRAIN.copy()
    broken[7, 2] = bad
    for arguments in ({"train": broken}, {"test": broken}):
        with pytest.raises(InputError, match="feature row 7 holds NaN or infinity"):
            scores(**arguments)


def test_a_row_too_long_to_measure_is_refused_by_row(scores):
    broken = TRAIN.copy()
    broken[5, 2] = 1e300
    with pytest.raises(InputError, match="feature row 5"):
        scores(test=broken)


def test_a_row_of_zeros_is_refused_if_it_is_to_be_normalised(scores, name):
    broken = TRAIN.copy()
    broken[4] = 0
    for arguments in ({"train": broken}, {"test": broken}):
        if name in RAW:
            assert np.isfinite(scores(**arguments)).all()
        else:
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


@pytest.mark.parametrize("name", LEAVING)
def test_leave_one_out_is_one_finite_float64_for_each_training_row(make):
    scorer = make().fit(TRAIN)
    values = scorer.leave_one_out()
    assert values.shape == (len(TRAIN),)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert len(np.unique(values)) > 0.6 * len(TRAIN)  # two rows may be each other's nearest


@pytest.mark.parametrize("name", ["oc-svm", "oc-svm tight"])
def test_the_support_vectors_of_a_machine_stay_where_they_are(make):
    scorer = make().fit(TRAIN)
    np.testing.assert_allclose(scorer.leave_one_out(), scorer.score(TRAIN), rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in LEAVING if "oc-svm" not in n])
def test_training_rows_score_higher_left_out_than_in_sample(make):
    scorer = make().fit(TRAIN)
    assert (scorer.leave_one_out() > scorer.score(TRAIN)).mean() > 0.95


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_training_row_is_its_own_nearest_unless_left_out(make):
    scorer = make().fit(TRAIN)
    assert scorer.score(TRAIN).max() < 1e-12
    values = scorer.leave_one_out()
    assert values.min() > 0.1 * values.mean()


def test_cosine_neighbours_are_searched_again_without_the_row():
    rows = unit(TRAIN)
    gaps = np.array([cdist(rows[i : i + 1], np.delete(rows, i, 0)).min() for i in range(60)])
    np.testing.assert_allclose(
        CosineKNN().fit(TRAIN).leave_one_out(), 2 * np.arcsin(gaps / 2), rtol=1e-6
    )


@pytest.mark.parametrize("length", [1, 3.3])
def test_cosine_neighbours_look_past_duplicates(length):
    """Copies of another length are equal after scaling, but for the last bit."""
    twice = np.concatenate([TRAIN, length * TRAIN])
    expected = np.tile(CosineKNN().fit(TRAIN).leave_one_out(), 2)
    np.testing.assert_allclose(CosineKNN().fit(twice).leave_one_out(), expected, rtol=1e-6)


def test_an_unknown_scorer_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown scorer 'kcos'; did you mean 'k-cos'"):
        scorers.build("kcos")
    assert scorers.available() == sorted(scorers.available())


# The same features in every release: who changes what a name stands for raises its version, and
# writes the new numbers here.
FEATURES = np.sin(np.arange(1, 481)).reshape(60, DIM) + np.arange(DIM) / 4
NUMBERS = {  # version, first score, mean score
    "c-cos": (2, 0.0654956, 0.065668),
    "c-cos-raw": (1, 0.0644896, 0.0640086),
    "c-cos-robust": (1, 0.0217311, 0.0219492),
    "cosine-knn": (1, 0.0178648, 0.0283157),
    "gaussian-density": (1, -32.0868, -31.8407),
    "k-cos": (2, 0.00222479, 0.00335806),
    "k-cos-literal": (1, 0.0516476, 0.0643788),
    "kde": (1, 0.110319, 0.110783),
    "mahalanobis": (2, 2.04998, 2.16916),
    "nearest-mahalanobis": (2, 0.00295422, 0.00716805),
    "oc-svm": (1, -0.118857, -0.11759),
}


@pytest.mark.parametrize("known", scorers.available())
def test_a_version_stands_for_one_definition(known):
    scores = scorers.build(known).fit(FEATURES[:40]).score(FEATURES[40:])
    found = scorers.version(known), float(scores[0]), float(scores.mean())
    assert found == pytest.approx(NUMBERS[known], rel=1e-4)


def test_an_ensemble_is_of_another_version_as_soon_as_a_part_is(monkeypatch):
    before = score_versions()
    monkeypatch.setitem(scorers._VERSIONS, "k-cos-literal", 2)
    changed = {name for name, each in score_versions().items() if before[name] != each}
    assert changed == {"k-cos-literal", "ensemble/k-cos-literal-c-cos"}
