import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.covariance import ledoit_wolf

from nsa_core.errors import InputError
from nsa_core.scorers.whitening import Whitening

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(50, 6)) @ RNG.normal(size=(6, 6)) + 3


def fit(features, covariance="empirical", **named):
    return Whitening.fit(torch.from_numpy(features), covariance, **named)


def covariance(features):
    return np.cov(features.T, bias=True).reshape(features.shape[1], -1)


def squared(fitted):
    """What stands for the inverse covariance."""
    return (fitted.matrix @ fitted.matrix).numpy()


def test_matrix_is_the_symmetric_inverse_root_of_the_covariance():
    fitted = fit(FEATURES)
    expected = np.linalg.inv(sqrtm(covariance(FEATURES)))
    np.testing.assert_allclose(fitted.matrix.numpy(), expected, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(fitted.mean.numpy(), FEATURES.mean(axis=0))
    assert torch.equal(fitted.matrix, fitted.matrix.T)


@pytest.mark.parametrize("center", [True, False])
def test_features_are_multiplied_by_the_matrix_less_the_mean_or_with_it(center):
    fitted = fit(FEATURES)
    white = fitted(torch.from_numpy(FEATURES), torch.float64, center=center).numpy()
    origin = FEATURES.mean(axis=0) if center else 0
    np.testing.assert_allclose(white, (FEATURES - origin) @ fitted.matrix.numpy(), rtol=1e-9)
    np.testing.assert_allclose(covariance(white), np.eye(6), atol=1e-9)


@pytest.mark.parametrize("center", [True, False])
def test_compact_features_far_away_keep_their_digits_in_float32(center):
    train = 1e3 + 1e-2 * (FEATURES - 3)
    test = torch.from_numpy(train[:20] + 1e-3)
    fitted = fit(train)
    wide = fitted(test, torch.float64, center=center)
    narrow = fitted(test, torch.float32, center=center)
    assert wide.dtype == narrow.dtype == torch.float64
    assert (narrow - wide).abs().max() < 1e-5  # whitened features have a variance of 1
    assert not torch.equal(narrow, wide)


@pytest.mark.parametrize("rows", [1, 5, 20, 100])
def test_without_spread_the_features_stay_as_they_are(rows):
    """The mean of equal rows may differ from them in the last bit, which is no spread."""
    equal = np.repeat(RNG.normal(size=(1, 8)), rows, axis=0)
    for kind in ("empirical", "ledoit-wolf", "pinv"):
        assert torch.equal(fit(equal, kind).matrix, torch.eye(8, dtype=torch.float64))


def test_small_eigenvalues_are_floored_at_a_millionth_of_the_largest():
    scale = np.array([1, 1e-2, 1e-5, 0])
    matrix = fit(np.concatenate([np.diag(scale), -np.diag(scale)])).matrix.numpy()
    largest = 2 / 8
    expected = 1 / np.sqrt(np.maximum(largest * scale**2, 1e-6 * largest))
    np.testing.assert_allclose(np.diag(matrix), expected, rtol=1e-9)


@pytest.mark.parametrize("floor", [0.9, 0.1, 1e-4, 1e-9])
@pytest.mark.parametrize("rows", [8, 40])
def test_any_floor_raises_the_eigenvalues_below_it(floor, rows):
    features = RNG.normal(size=(rows, 12)) * np.geomspace(1, 1e-3, 12)
    values, vectors = np.linalg.eigh(covariance(features))
    root = np.maximum(values, floor * values[-1]) ** -0.5
    matrix = fit(features, floor=floor).matrix.numpy()
    np.testing.assert_allclose(matrix, vectors * root @ vectors.T, rtol=1e-5, atol=1e-5)


def test_without_a_floor_the_covariance_is_inverted_as_it_is():
    features = RNG.normal(size=(200, 5)) * np.geomspace(1, 1e-5, 5)
    white = fit(features, floor=0)(torch.from_numpy(features), torch.float64, center=True)
    np.testing.assert_allclose(covariance(white.numpy()), np.eye(5), atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "dim"), [(200, 5), (60, 50), (50, 50), (20, 60), (3, 7), (30, 1)], ids=str
)
def test_ledoit_wolf_is_scikit_learns(rows, dim):
    features = RNG.normal(size=(rows, dim)) @ RNG.normal(size=(dim, dim)) + 5
    expected, _ = ledoit_wolf(features)
    ours = np.linalg.inv(squared(fit(features, "ledoit-wolf")))
    np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-9 * expected.max())


def test_ledoit_wolf_of_features_without_structure_is_a_multiple_of_the_identity():
    features = np.concatenate([np.eye(4), -np.eye(4)])
    matrix = fit(features, "ledoit-wolf").matrix.numpy()
    np.testing.assert_allclose(matrix, 2 * np.eye(4), atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "dim", "rank"), [(50, 6, 6), (50, 6, 4), (8, 30, 7), (8, 30, 3)], ids=str
)
def test_pinv_is_the_pseudo_inverse(rows, dim, rank):
    features = RNG.normal(size=(rows, rank)) @ RNG.normal(size=(rank, dim)) + 5
    matrix = fit(features, "pinv").matrix
    assert torch.linalg.matrix_rank(matrix, rtol=1e-8) == rank
    expected = np.linalg.pinv(covariance(features), rcond=1e-10, hermitian=True)
    ours = squared(fit(features, "pinv"))
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_pinv_sees_nothing_of_a_dead_dimension_however_large():
    features = np.concatenate([1e-4 * FEATURES, np.full((50, 1), 1234.567)], axis=1)
    fitted = fit(features, "pinv")
    np.testing.assert_allclose(fitted.matrix[:6, :6], fit(1e-4 * FEATURES, "pinv").matrix)
    assert fitted.matrix[6].abs().max() == pytest.approx(0, abs=1e-6)


def test_an_unknown_covariance_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown covariance 'ledoit'; did you mean 'ledoit-wolf'"):
        fit(FEATURES, "ledoit")


@pytest.mark.parametrize("floor", [-0.1, 1, 1.5, float("nan")])
def test_a_floor_out_of_range_is_refused(floor):
    with pytest.raises(InputError, match=rf"floor is {floor}; need a number in \[0, 1\)"):
        fit(FEATURES, floor=floor)


def student_t(features):
    """The maximum-likelihood t with 1 degree of freedom: weights, mean and scatter until still."""
    count, dim = features.shape
    mean, scatter = features.mean(axis=0), np.cov(features.T, bias=True)
    for _ in range(500):
        offsets = features - mean
        distances = np.array([x @ np.linalg.solve(scatter, x) for x in offsets])
        weights = (1 + dim) / (1 + distances)
        mean = sum(w * x for w, x in zip(weights, features, strict=True)) / weights.sum()
        offsets = features - mean
        scatter = sum(w * np.outer(x, x) for w, x in zip(weights, offsets, strict=True)) / count
    return mean, scatter


def test_the_student_t_fit_solves_its_likelihood_equations():
    features = RNG.standard_t(2, size=(300, 5)) @ RNG.normal(size=(5, 5)) + 3
    mean, scatter = student_t(features)
    fitted = fit(features, "student-t")
    np.testing.assert_allclose(fitted.mean.numpy(), mean, atol=1e-3 * np.sqrt(np.trace(scatter)))
    product = fitted.matrix.numpy() @ fitted.matrix.numpy() @ scatter
    shape = product / (np.trace(product) / 5)  # the scale converges last, and no score sees it
    np.testing.assert_allclose(shape, np.eye(5), atol=0.03)


def test_a_tenth_of_outliers_moves_the_student_t_fit_little_and_the_empirical_one_far():
    clean = RNG.normal(size=(450, 5)) @ RNG.normal(size=(5, 5))
    polluted = np.concatenate([clean, RNG.normal(size=(50, 5)) + 40])

    def moved(covariance):
        before, after = (fit(x, covariance).matrix.numpy() for x in (clean, polluted))
        before, after = (m / np.linalg.norm(m) for m in (before, after))
        return np.linalg.norm(after - before)

    assert moved("student-t") < 0.2
    assert moved("empirical") > 3 * moved("student-t")


@pytest.mark.parametrize("shape", [(40, 8), (8, 40), (1, 5)], ids=str)
def test_the_student_t_fit_is_finite_with_few_samples_or_dead_dimensions(shape):
    features = RNG.normal(size=shape)
    features[:, 2] = 1.5
    assert fit(features, "student-t").matrix.isfinite().all()


def test_the_default_is_ledoit_wolf():
    default = Whitening.fit(torch.from_numpy(FEATURES))
    assert torch.equal(default.matrix, fit(FEATURES, "ledoit-wolf").matrix)
