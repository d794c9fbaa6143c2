import math
import signal
from contextlib import contextmanager

import mpmath
import numpy as np
import pytest
from scipy.stats import vonmises_fisher

from nsa_core.errors import InputError
from nsa_core.metrics import kappa, kappa_from_resultant, resultant_length

DIMS = (2, 3, 8, 64, 512, 2048, 8192)
KAPPAS = (1e-3, 0.1, 1.0, 10.0, 300.0, 1e3, 1e4, 1e5, 1e6)


@pytest.fixture(autouse=True)
def sixty_digits():
    with mpmath.workdps(60):
        yield


def ratio(value, dim: int):
    """A_d = I_{d/2} / I_{d/2-1} by the recurrence downwards from zero, at 60 digits."""
    value, nu = mpmath.mpf(value), mpmath.mpf(dim) / 2 - 1
    terms = int(math.sqrt(150 * float(value))) + 120  # the error shrinks like exp(-terms^2 / kappa)
    result = mpmath.mpf(0)
    for k in range(terms, 0, -1):
        result = 1 / (2 * (nu + k) / value + result)
    return result


def solved(length: float, dim: int, start: float):
    """The kappa with A_d(kappa) = length, by Newton's method at 60 digits."""
    length, value = mpmath.mpf(length), mpmath.mpf(start)
    for _ in range(30):
        a = ratio(value, dim)
        step = (a - length) / (1 - a * a - (dim - 1) * a / value)
        value -= step
        if abs(step) < mpmath.mpf(10) ** -30 * value:
            return value
    raise AssertionError("the reference did not converge")


@pytest.mark.parametrize("dim", DIMS)
def test_the_reference_agrees_with_mpmaths_bessel_functions(dim):
    nu = mpmath.mpf(dim) / 2 - 1
    for value in (1e-3, 1.0, 300.0, 1e4, 1e6):
        above = mpmath.besseli(nu + 1, value, maxterms=10**6)
        below = mpmath.besseli(nu, value, maxterms=10**6)
        assert abs(ratio(value, dim) / (above / below) - 1) < mpmath.mpf(10) ** -40


@pytest.mark.parametrize("value", KAPPAS)
@pytest.mark.parametrize("dim", DIMS)
def test_kappa_solves_the_equation_to_twelve_digits(dim, value):
    length = float(ratio(value, dim))
    expected = solved(length, dim, value)  # of the rounded length: a float cannot hold the true one
    assert abs(kappa_from_resultant(length, dim) / expected - 1) < 1e-12


def test_so_it_does_off_the_grid_and_where_the_large_argument_expansion_takes_over():
    rng = np.random.default_rng(0)
    pairs = [(2, 632.108), (2, 999.9), (2, 1000.1), (3, 814.887), (64, 10240.0), (64, 10240.1)]
    pairs += [(int(2 ** rng.uniform(1, 13)), 10 ** rng.uniform(-3, 5)) for _ in range(30)]
    for dim, value in pairs:
        length = float(ratio(value, dim))
        expected = solved(length, dim, value)
        assert abs(kappa_from_resultant(length, dim) / expected - 1) < 1e-12, (dim, value)


@pytest.mark.parametrize(
    ("dim", "length", "expected"),
    [(512, 0.5, 341.067), (512, 0.9, 2421.02), (128, 0.9, 602.077), (2048, 0.95, 19945.6)],
)
def test_values_of_methods_section_4_2(dim, length, expected):
    assert kappa_from_resultant(length, dim) == pytest.approx(expected, rel=5e-6)


def test_in_two_and_three_dimensions_the_closed_forms_hold():
    for value in (0.01, 0.5, 3.0, 40.0):
        langevin = 1 / math.tanh(value) - 1 / value if value > 0.1 else value / 3 - value**3 / 45
        assert kappa_from_resultant(langevin, 3) == pytest.approx(value, rel=1e-9)
        circular = float(mpmath.besseli(1, value) / mpmath.besseli(0, value))
        assert kappa_from_resultant(circular, 2) == pytest.approx(value, rel=1e-12)


def test_the_limits_are_zero_and_infinity():
    for dim in DIMS:
        assert kappa_from_resultant(0, dim) == kappa_from_resultant(0.0, dim) == 0
        assert kappa_from_resultant(1, dim) == kappa_from_resultant(1.0, dim) == math.inf
    # A_d(kappa) is kappa / d near 0, and 1 - (d - 1) / (2 kappa) near 1
    assert kappa_from_resultant(1e-9, 512) == pytest.approx(512e-9, rel=1e-9)
    gap = 2.0**-14
    assert kappa_from_resultant(1 - gap, 512) == pytest.approx(511 / (2 * gap), rel=1e-3)


@contextmanager
def seconds(limit: int):
    """Raise TimeoutError if the block takes longer."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("gap", [1e-9, 2.0**-53])
def test_lengths_just_below_one_are_solved_at_once(gap):
    with seconds(1):
        value = kappa_from_resultant(1 - gap, 512)
    assert value == pytest.approx(511 / 2 / (1 - (1 - gap)), rel=1e-6)


def test_equal_rows_whose_mean_is_rounded_are_infinitely_or_hugely_concentrated():
    row = np.random.default_rng(0).normal(size=(1, 512))
    with seconds(1):
        value = kappa(np.repeat(row, 125, axis=0))
    assert value > 1e15


def test_very_compact_features_are_measured_at_once():
    rng = np.random.default_rng(0)
    centre, width = rng.normal(size=(1, 512)), 1e-6
    with seconds(1):
        value = kappa(centre + width * np.linalg.norm(centre) * rng.normal(size=(1000, 512)))
    assert value == pytest.approx(1 / width**2, rel=0.01)


@pytest.mark.parametrize("dim", [2, 3, 64, 512, 8192])
def test_from_the_smallest_float_to_the_last_below_one_it_is_finite_and_rises(dim):
    near_0 = [0, 5e-324, *np.geomspace(1e-307, 1e-13, 20), *np.geomspace(1e-12, 0.01, 40)]
    near_1 = [*(1 - np.geomspace(0.9e-3, 1e-15, 20)), math.nextafter(1, 0)]
    grid = [*near_0, *np.linspace(0.011, 0.999, 150), *near_1]
    assert (np.diff(grid) > 0).all()
    values = [kappa_from_resultant(float(length), dim) for length in grid]
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("concentration", [0.5, 5.0, 200.0])
def test_features_of_a_known_distribution_give_its_kappa(concentration):
    mean = np.array([2.0, -1.0, 0.5]) / np.linalg.norm([2.0, -1.0, 0.5])
    rng = np.random.default_rng(0)
    count = 20000
    samples = vonmises_fisher(mean, concentration).rvs(count, random_state=rng)
    # the estimate's standard deviation is 1 / sqrt(n A'(kappa))
    a = 1 / math.tanh(concentration) - 1 / concentration
    deviation = 1 / math.sqrt(count * (1 - a * a - 2 * a / concentration))
    assert kappa(samples) == pytest.approx(concentration, abs=4 * deviation)
    _, by_scipy = vonmises_fisher.fit(samples)
    assert kappa(samples) == pytest.approx(by_scipy, rel=1e-6)


def test_scaling_each_row_changes_nothing():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 16)) + 1
    scaled = features * rng.uniform(0.01, 100, (100, 1))
    assert kappa(scaled) == pytest.approx(kappa(features), rel=1e-12)


def test_one_direction_is_infinitely_concentrated_and_opposite_ones_not_at_all():
    row = np.array([[1.0, 0.0]])
    assert kappa(np.repeat(row, 8, axis=0)) == math.inf
    assert kappa(np.concatenate([row, -row])) == 0


def test_uniform_directions_seem_as_concentrated_as_their_mean_is_long_by_chance():
    rng = np.random.default_rng(0)
    for count, dim in ((1000, 512), (5000, 512), (200, 64), (50, 2048)):
        draws = max(3, 1000 // dim)
        seen = np.mean([kappa(rng.normal(size=(count, dim))) for _ in range(draws)])
        # N R^2 varies by sqrt(2 / d), kappa by half of that
        deviation = 1 / math.sqrt(2 * dim * draws)
        floor = kappa_from_resultant(1 / math.sqrt(count), dim)
        assert seen == pytest.approx(floor, rel=4 * deviation)


def test_resultant_length_equals_a_loop_over_rows():
    features = np.random.default_rng(0).normal(size=(30, 5)) + 0.3
    total = [0.0] * 5
    for row in features.tolist():
        norm = math.sqrt(sum(v * v for v in row))
        total = [t + v / norm for t, v in zip(total, row, strict=True)]
    length = math.sqrt(sum(t * t for t in total)) / 30
    assert resultant_length(features) == pytest.approx(length, rel=1e-13)
    assert kappa(features) == kappa_from_resultant(resultant_length(features), 5)


def test_lengths_stay_between_0_and_1():
    row = np.random.default_rng(0).normal(size=(1, 7))
    opposite = np.concatenate([row, -3 * row])
    assert resultant_length(opposite) < 1e-15
    assert resultant_length(row) == pytest.approx(1, abs=1e-15)
    for count in range(2, 40):
        assert 1 - 1e-15 <= resultant_length(row.repeat(count, 0)) <= 1


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(4), r"features are \[4\]; need \[N, d\]"),
        (np.ones((4, 1)), r"features are \[4, 1\]"),
        (np.ones((0, 4)), r"features are \[0, 4\]"),
        (np.array([[1.0, 2.0], [0.0, 0.0]]), "row 1 is all zeros"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, np.inf]]), "not finite"),
    ],
)
def test_features_without_directions_are_refused(features, message):
    for metric in (kappa, resultant_length):
        with pytest.raises(InputError, match=message):
            metric(features)


@pytest.mark.parametrize(
    ("length", "dim", "message"),
    [
        (-0.1, 3, "resultant length is -0.1"),
        (1.1, 3, r"resultant length is 1.1; need a number in \[0, 1\]"),
        (float("nan"), 3, "resultant length is nan"),
        (0.5, 1, "dim is 1; need at least 2"),
    ],
)
def test_lengths_and_dimensions_out_of_range_are_refused(length, dim, message):
    with pytest.raises(InputError, match=message):
        kappa_from_resultant(length, dim)
