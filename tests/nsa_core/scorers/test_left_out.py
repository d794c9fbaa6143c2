"""Leave-one-out scores against fits without the row, one row at a time.

Exact when shrinkage, floor and Student-t weights are those of all rows; against a fit that
estimates them anew, as near as n rows determine them.
"""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from nsa_core.errors import InputError
from nsa_core.scorers import (
    CCos,
    GaussianDensity,
    KCos,
    LayerEnsemble,
    Mahalanobis,
    NearestMahalanobis,
)

DIM = 12
COUNTS = pytest.mark.parametrize("count", [DIM + 2, DIM + 5, 40])
FEW = pytest.mark.parametrize("count", [4, DIM - 1, DIM, DIM + 1])


def rows(count, dim=DIM, seed=0):
    """Positive features of unequal spread, as pooled maps are."""
    random = np.random.default_rng(seed)
    spread = np.geomspace(0.3, 0.03, dim)
    return random.uniform(1, 2, dim) + spread * random.normal(size=(count, dim))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def left_out(features, weights, kept, added):
    """Of each row x: x, the others, their weighted mean and estimate kept * C + added."""
    for i, x in enumerate(features):
        others, w = np.delete(features, i, axis=0), np.delete(weights, i)
        mean = w @ others / w.sum()
        offsets = np.sqrt(w)[:, None] * (others - mean)
        yield x, others, mean, kept * offsets.T @ offsets / len(others) + added


def distances(*fit):
    return [(x - mean) @ np.linalg.solve(s, x - mean) for x, _, mean, s in left_out(*fit)]


def angles(*fit):
    found = []
    for x, _, mean, s in left_out(*fit):
        p = np.linalg.inv(s)
        found.append(np.arccos(cosine(mean, x, p)))
    return found


def nearest(*fit):
    """Squared distances to the nearest other that shows something else."""
    found = []
    for x, others, _, s in left_out(*fit):
        gaps = [(x - t) @ np.linalg.solve(s, x - t) for t in others]
        found.append(min(gap for gap in gaps if gap > 1e-9))
    return found


def nearest_angles(*fit, center=False):
    found = []
    for x, others, mean, s in left_out(*fit):
        p, origin = np.linalg.inv(s), mean if center else 0
        cosines = [cosine(x - origin, t - origin, p) for t in others]
        found.append(np.arccos(max(c for c in cosines if c < 1 - 1e-12)))
    return found


def cosine(a, b, p):
    return a @ p @ b / np.sqrt((a @ p @ a) * (b @ p @ b))


def shrunk(features):
    """Ledoit and Wolf's shrinkage of all rows, as scikit-learn estimates it."""
    share = ledoit_wolf(features)[1]
    scale = np.trace(np.cov(features.T, bias=True)) / features.shape[1]
    return np.ones(len(features)), 1 - share, share * scale * np.eye(features.shape[1])


PAIRS = [
    (Mahalanobis, distances),
    (CCos, angles),
    (NearestMahalanobis, nearest),
    (KCos, nearest_angles),
    (partial(KCos, center=True), partial(nearest_angles, center=True)),
]


@pytest.mark.parametrize(("make", "slow"), PAIRS)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("count", [4, DIM - 1, DIM, DIM + 1, DIM + 2, 40])
def test_with_the_shrinkage_held_it_equals_a_fit_without_each_row(make, slow, normalize, count):
    train = rows(count)
    features = unit(train) if normalize else train
    expected = slow(features, *shrunk(features))
    found = make(normalize=normalize).fit(train).leave_one_out()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@COUNTS
@pytest.mark.parametrize("make", [Mahalanobis, CCos])
def test_the_empirical_covariance_is_fitted_again_exactly(make, count):
    """Where no eigenvalue is at the floor nothing else is estimated."""
    train = rows(count)
    make = partial(make, normalize=False, covariance="empirical", floor=1e-9)
    expected = [
        make().fit(np.delete(train, i, axis=0)).score(x[None])[0] for i, x in enumerate(train)
    ]
    np.testing.assert_allclose(make().fit(train).leave_one_out(), expected, rtol=1e-9)


@FEW
@pytest.mark.parametrize(("make", "slow"), [(Mahalanobis, distances), (CCos, angles)])
def test_a_row_that_alone_spans_a_direction_finds_the_floor_there(make, slow, count):
    """Approximate: what the row takes along beside its own direction is not floored again.

    In-sample scores are 1e-5 to 0.6 times as large, by the median over these rows.
    """
    features = unit(rows(count))
    scorer = make(covariance="empirical").fit(features)
    found = scorer.leave_one_out()
    rest = float(scorer.whitening_.spectrum.rest)
    expected = []
    for x, _, mean, s in left_out(features, np.ones(count), 1, 0):
        values, vectors = np.linalg.eigh(s)
        floored = vectors * values.clip(rest) @ vectors.T
        expected += slow_of(slow, x, mean, floored)
    apart = np.abs(found / expected - 1)
    assert np.median(apart) < 0.05
    assert apart.max() < 0.25
    assert np.median(scorer.score(features) / expected) < 0.7


def slow_of(slow, x, mean, covariance):
    offset, p = x - mean, np.linalg.inv(covariance)
    if slow is distances:
        return [offset @ p @ offset]
    return [np.arccos(cosine(mean, x, p))]


@pytest.mark.parametrize(("make", "slow"), PAIRS[2:])
@pytest.mark.parametrize("length", [1, 3.3])
def test_a_copy_of_a_row_stays_in_the_fit_and_is_no_neighbour(make, slow, length):
    """Copies of another length are equal after scaling, but for the last bit."""
    train = rows(30)
    twice = np.concatenate([train, length * train[:20]])
    expected = slow(unit(twice), *shrunk(unit(twice)))
    np.testing.assert_allclose(make().fit(twice).leave_one_out(), expected, rtol=1e-6)


@COUNTS
@pytest.mark.parametrize(("make", "slow"), PAIRS)
def test_with_the_weights_held_it_equals_a_student_t_fit_without_each_row(make, slow, count):
    features = unit(rows(count))
    features[:2] = unit(features[:2] + 0.1 * np.eye(DIM)[0])  # outliers have small weights
    scorer = make(covariance="student-t", floor=0).fit(features)
    weights = scorer.whitening_.spectrum.weights.numpy()
    assert weights.max() > 1.1 * weights.min() or count < 40
    expected = slow(features, weights, 1, 0)
    np.testing.assert_allclose(scorer.leave_one_out(), expected, rtol=1e-9)


@pytest.mark.parametrize("count", [2, 4, DIM, DIM + 1, 40])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_gaussian_density_is_fitted_again_exactly(normalize, count):
    """Its ridge is given, so nothing is held."""
    train, make = rows(count), partial(GaussianDensity, normalize=normalize, ridge=1e-4)
    expected = [
        make().fit(np.delete(train, i, axis=0)).score(x[None])[0] for i, x in enumerate(train)
    ]
    np.testing.assert_allclose(make().fit(train).leave_one_out(), expected, rtol=1e-9)


@pytest.mark.parametrize("make", [Mahalanobis, CCos])
def test_with_the_shrinkage_estimated_anew_it_is_near(make):
    """The default, near n = d: one row in 16 moves the shrinkage itself."""
    for count, within in ((16, 0.25), (64, 0.05), (256, 0.01)):
        train = rows(count)
        again = [
            make().fit(np.delete(train, i, axis=0)).score(x[None])[0] for i, x in enumerate(train)
        ]
        assert np.median(np.abs(make().fit(train).leave_one_out() / again - 1)) < within


@pytest.mark.parametrize("make", [Mahalanobis, CCos, NearestMahalanobis, KCos])
def test_the_range_is_that_of_new_rows_where_n_is_near_d(make):
    dim, count = 64, 80
    train, new = np.split(rows(count + 400, dim), [count])
    scorer = make().fit(train)  # with its shrinkage; without, in-sample scores are all equal
    spans = [
        np.subtract(*np.quantile(scores, [0.95, 0.05]))
        for scores in (scorer.score(new), scorer.leave_one_out(), scorer.score(train))
    ]
    assert spans[1] == pytest.approx(spans[0], rel=0.15)
    assert spans[2] < 0.6 * spans[0]


def test_an_ensemble_does_not_rank_a_layer_by_how_much_of_it_was_memorised():
    """New normals of a wide layer (n near d) lie where those of a narrow one lie: within 0 to 1."""
    layers = [rows(480, dim, seed) for seed, dim in enumerate((64, 8))]
    for layer in layers:
        new = LayerEnsemble().fit([layer[:80]]).score([layer[80:]])
        assert np.quantile(new, 0.05) > -0.3
        assert np.quantile(new, 0.95) < 1.3


@pytest.mark.parametrize("make", [Mahalanobis, CCos])
def test_small_angles_and_distances_keep_their_digits(make):
    base, tiny = rows(30), 1e-7
    mean = base.mean(axis=0)
    train = mean + tiny * (base - mean)
    found = make(normalize=False, covariance="empirical").fit(train).leave_one_out()
    plain = make(normalize=False, covariance="empirical").fit(base).leave_one_out()
    if make is CCos:
        # the mean is 1e7 times as far away, so the tangents are in proportion
        assert 0 < found.max() < 1e-4
        assert np.corrcoef(found, np.tan(plain))[0, 1] > 0.9
    else:
        np.testing.assert_allclose(found, plain, rtol=1e-5)


@pytest.mark.parametrize("make", [make for make, _ in PAIRS])
@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_rows_have_no_scale(make, count):
    assert make().fit(rows(count)).leave_one_out().tolist() == [0] * count


@pytest.mark.parametrize("make", [make for make, _ in PAIRS])
def test_without_a_floor_a_row_that_alone_spans_a_direction_is_refused(make):
    scorer = make(covariance="pinv").fit(rows(DIM))
    with pytest.raises(InputError, match=r"row \d+ alone spans a direction.* or more rows"):
        scorer.leave_one_out()
    assert np.isfinite(make(covariance="pinv").fit(rows(DIM + 2)).leave_one_out()).all()


def test_a_centred_c_cos_is_refused():
    with pytest.raises(InputError, match="centred c-Cos has no leave-one-out scores"):
        CCos(center=True).fit(rows(40)).leave_one_out()


def test_features_on_a_device_give_scores_on_the_cpu_as_arrays():
    tensor = torch.from_numpy(rows(40))
    np.testing.assert_array_equal(
        CCos().fit(tensor).leave_one_out(), CCos().fit(tensor.numpy()).leave_one_out()
    )
