import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from scipy.stats import vonmises_fisher

from nsa_core.errors import InputError
from nsa_core.metrics import mmd_to_uniform, uniform_kernel, uniformity
from nsa_core.metrics.mmd import _BLOCK

RNG = np.random.default_rng(0)


def by_pairs(features, gamma):
    """Mean kernel over pairs of distinct rows, one pair at a time."""
    rows = [np.asarray(row) / math.sqrt(sum(v * v for v in row)) for row in features.tolist()]
    values = [
        math.exp(-gamma * float(((a - b) ** 2).sum())) for a, b in itertools.combinations(rows, 2)
    ]
    return math.fsum(values) / len(values)


def exact_uniform_kernel(dim, gamma):
    with mpmath.workdps(40):
        gamma = mpmath.mpf(gamma)
        return mpmath.exp(-2 * gamma) * mpmath.hyp0f1(mpmath.mpf(dim) / 2, gamma**2)


def concentrated(count, dim, strength=1.0, rng=RNG):
    return rng.normal(size=(count, dim)) + strength * np.eye(dim)[0] * math.sqrt(dim)


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 50])
def test_the_uniform_kernel_equals_mpmaths_hypergeometric_function(gamma):
    for dim in (2, 3, 8, 17, 64, 128, 512, 2048, 8192):
        assert abs(uniform_kernel(dim, gamma) / exact_uniform_kernel(dim, gamma) - 1) < 1e-12


@pytest.mark.parametrize(("dim", "gamma"), [(2, 372), (2, 1000), (3, 1000), (512, 400)])
def test_so_it_does_where_its_first_term_underflows(dim, gamma):
    assert abs(uniform_kernel(dim, gamma) / exact_uniform_kernel(dim, gamma) - 1) < 1e-11


@pytest.mark.parametrize(
    ("dim", "gamma", "expected"), [(512, 2, 0.0186040594), (128, 0.5, 0.3693192372)]
)
def test_the_uniform_kernel_has_the_values_of_methods_section_4_3(dim, gamma, expected):
    assert uniform_kernel(dim, gamma) == pytest.approx(expected, abs=1e-10)


def test_the_uniform_kernel_is_the_mean_over_random_directions():
    for dim, gamma in ((2, 1.0), (3, 4.0), (32, 2.0)):
        a, b = RNG.normal(size=(2, 40000, dim))
        cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        values = np.exp(-gamma * (2 - 2 * cosines))
        error = 4 * values.std() / math.sqrt(len(values))
        assert uniform_kernel(dim, gamma) == pytest.approx(values.mean(), abs=error)


@pytest.mark.parametrize("gamma", [0.05, 0.5, 2.0, 15.0, 50.0])
def test_mmd_and_uniformity_equal_a_loop_over_pairs(gamma):
    for features in (RNG.normal(size=(40, 6)), concentrated(41, 64)):
        mean = by_pairs(features, gamma)
        assert uniformity(features, gamma) == pytest.approx(math.log(mean), rel=1e-12, abs=1e-13)
        expected = mean - float(exact_uniform_kernel(features.shape[1], gamma))
        assert mmd_to_uniform(features, gamma) == pytest.approx(expected, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("t", [1.0, 2.0, 5.0])
def test_uniformity_is_that_of_wang_and_isola(t):
    features = torch.from_numpy(concentrated(200, 16))
    unit = torch.nn.functional.normalize(features, dim=1)
    theirs = torch.pdist(unit).pow(2).mul(-t).exp().mean().log().item()
    assert uniformity(features.numpy(), t) == pytest.approx(theirs, rel=1e-12)


def test_uniformity_holds_where_the_kernel_of_distinct_rows_is_tiny():
    features = RNG.normal(size=(50, 512))
    assert uniformity(features, 50.0) == pytest.approx(
        math.log(by_pairs(features, 50.0)), rel=1e-12
    )
    assert uniformity([[1, 0], [-1, 0]], 50.0) == pytest.approx(-200, rel=1e-12)


def test_mmd_is_the_exponential_of_uniformity_less_a_constant():
    for gamma in (0.5, 2.0, 5.0):
        for features in (RNG.normal(size=(60, 8)), concentrated(60, 8)):
            expected = math.exp(uniformity(features, gamma)) - uniform_kernel(8, gamma)
            assert mmd_to_uniform(features, gamma) == pytest.approx(expected, abs=1e-14)


def sampled(features, samples, seed, gamma=2.0):
    """What papers compute: E k(x, x') - 2 E k(x, u) + E k(u, u'), with random uniform u."""
    drawn = np.random.default_rng(seed).normal(size=(samples, features.shape[1]))
    x, u = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features, drawn))
    within = [pdist(rows, "sqeuclidean") for rows in (x, u)]
    own, other, cross = (np.exp(-gamma * d).mean() for d in (*within, cdist(x, u, "sqeuclidean")))
    return own - 2 * cross + other


@pytest.mark.parametrize("name", ["uniform", "concentrated"])
def test_mmd_is_on_average_the_sampled_one(name):
    dim, count = 8, 100
    features = RNG.normal(size=(count, dim)) if name == "uniform" else concentrated(count, dim, 0.5)
    draws = np.array([sampled(features, 150, seed) for seed in range(200)])
    error = 4 * draws.std() / math.sqrt(len(draws))
    assert mmd_to_uniform(features) == pytest.approx(draws.mean(), abs=error)
    assert error < 0.005


def test_mmd_of_a_von_mises_fisher_distribution_is_right_on_average():
    gamma, count, draws = 2.0, 20, 400
    rows = vonmises_fisher([0, 0, 1], 3.0).rvs(2 * count * draws, random_state=RNG)
    seen = np.array([mmd_to_uniform(each, gamma) for each in rows.reshape(-1, count, 3)])
    # E k(x, x') from independent pairs
    a, b = vonmises_fisher([0, 0, 1], 3.0).rvs(10**5, random_state=RNG).reshape(2, -1, 3)
    kernel = np.exp(-gamma * ((a - b) ** 2).sum(1))
    expected = kernel.mean() - float(exact_uniform_kernel(3, gamma))
    error = 4 * math.hypot(seen.std() / len(seen) ** 0.5, kernel.std() / len(kernel) ** 0.5)
    assert seen.mean() == pytest.approx(expected, abs=error)
    assert expected > 10 * error


@pytest.mark.parametrize(("count", "dim", "gamma"), [(2, 3, 2.0), (10, 8, 2.0), (50, 64, 0.5)])
def test_mmd_of_uniform_directions_is_zero_on_average_and_may_be_negative(count, dim, gamma):
    draws = 1000
    values = np.array([mmd_to_uniform(RNG.normal(size=(count, dim)), gamma) for _ in range(draws)])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(draws)
    assert values.min() < 0 < values.max()


def test_mmd_rises_with_concentration_from_zero_to_that_of_a_point():
    values = [mmd_to_uniform(concentrated(500, 32, s)) for s in (0, 0.3, 0.6, 1.0, 3.0)]
    assert values == sorted(values)
    assert abs(values[0]) < 0.01
    point = np.ones((9, 32))
    assert mmd_to_uniform(point) == pytest.approx(1 - uniform_kernel(32, 2.0), abs=1e-14)
    assert uniformity(point) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("count", [_BLOCK - 1, _BLOCK, _BLOCK + 1, 2 * _BLOCK + 100])
def test_blocks_equal_one_computation(count):
    features = concentrated(count, 6)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(count, 1)]
    mean = np.exp(4 * (cosines - 1)).mean()
    assert uniformity(features) == pytest.approx(math.log(mean), rel=1e-12)
    assert mmd_to_uniform(features) == pytest.approx(mean - uniform_kernel(6, 2.0), rel=1e-11)


@pytest.mark.parametrize("width", [1e-3, 1e-5])
def test_compact_features_have_the_uniformity_of_their_mean_squared_distance(width):
    features = np.ones((60, 20)) + width * RNG.normal(size=(60, 20))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distance = np.mean([((a - b) ** 2).sum() for a, b in itertools.combinations(unit, 2)])
    assert uniformity(features) == pytest.approx(-2 * distance, rel=20 * width, abs=1e-14)
    assert uniformity(features) < 0
    assert mmd_to_uniform(features) < 1 - uniform_kernel(20, 2.0)


def test_scaling_each_row_changes_nothing():
    features = concentrated(80, 12)
    scaled = features * RNG.uniform(1e-3, 1e3, (80, 1))
    assert mmd_to_uniform(scaled) == pytest.approx(mmd_to_uniform(features), rel=1e-12)
    assert uniformity(scaled) == pytest.approx(uniformity(features), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_features_are_measured_in_double(dtype):
    features = (100 * concentrated(50, 12)).astype(dtype)
    assert mmd_to_uniform(features) == mmd_to_uniform(features.astype(np.float64))


METRICS = [mmd_to_uniform, uniformity]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((1, 4)), "features have 1 row; pairs need at least 2"),
        (np.ones((0, 4)), r"features are \[0, 4\]"),
        (np.ones((4, 1)), r"features are \[4, 1\]; need \[N, d\] with d >= 2"),
        (np.ones(4), r"features are \[4\]"),
        (np.array([[1.0, 2.0], [0.0, 0.0]]), "row 1 is all zeros"),
        (np.array([[1.0, np.nan], [1.0, 0.0]]), "not finite"),
        (np.array([[1.0, np.inf], [1.0, 0.0]]), "not finite"),
    ],
)
def test_features_without_pairs_of_directions_are_refused(metric, features, message):
    with pytest.raises(InputError, match=message):
        metric(features)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_kernels_without_a_width_are_refused(value):
    features = np.eye(3)
    with pytest.raises(InputError, match=f"gamma is {value}; need a number above 0"):
        mmd_to_uniform(features, value)
    with pytest.raises(InputError, match=f"gamma is {value}"):
        uniform_kernel(3, value)
    with pytest.raises(InputError, match=f"t is {value}; need a number above 0"):
        uniformity(features, value)


def test_other_impossible_arguments_are_refused():
    with pytest.raises(InputError, match="dim is 1; need at least 2"):
        uniform_kernel(1, 2.0)
    with pytest.raises(InputError, match=r"t is 1000\.0; .* underflows"):
        uniformity(np.eye(3), 1000.0)
