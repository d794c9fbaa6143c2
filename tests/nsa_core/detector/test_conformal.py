"""The promises by simulation, and the arithmetic against independent references."""

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from nsa_core.detector.conformal import (
    benjamini_hochberg,
    is_promised,
    least_discoveries,
    least_rate,
    p_values,
    rate_range,
    threshold,
)
from nsa_core.errors import InputError

RNG = np.random.default_rng(17)


def test_p_values_are_counted():
    calibration, scores = RNG.normal(size=30).round(1), RNG.normal(size=50).round(1)  # with ties
    counted = [(1 + sum(c >= s for c in calibration)) / 31 for s in scores]
    np.testing.assert_array_equal(p_values(calibration, scores), counted)


@pytest.mark.parametrize("n", [0, 1, 18, 19, 20, 99, 100])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5, 0.99])
def test_a_score_is_above_the_threshold_if_and_only_if_its_p_value_is_within_the_rate(n, rate):
    calibration = RNG.integers(0, 40, n).astype(float)  # with ties
    scores = np.arange(-1, 42, 0.5)
    flagged = scores > threshold(calibration, rate)
    np.testing.assert_array_equal(flagged, p_values(calibration, scores) <= rate + 1e-12)


def test_so_many_images_promise_this_rate_and_no_smaller_one():
    for n in (1, 9, 19, 99, 332):
        assert is_promised(n, least_rate(n))
        assert not is_promised(n, 0.999 * least_rate(n))
        assert threshold(np.arange(n, dtype=float), 0.999 * least_rate(n)) == math.inf


def false_alarms(rate, n, normal, calibrated_on=None, draws=4000, images=20):
    """The share of normal images flagged, each time with another calibration set."""
    calibrated_on = calibrated_on or normal
    return np.mean(
        [(normal(images) > threshold(calibrated_on(n), rate)).mean() for _ in range(draws)]
    )


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (100, 0.05), (37, 0.1), (200, 0.01)])
@pytest.mark.parametrize(
    "draw", [RNG.standard_normal, RNG.standard_cauchy], ids=["normal", "heavy"]
)
def test_the_false_alarm_rate_is_kept_and_not_wasted(n, rate, draw):
    """On average over calibration sets it is floor(rate (n + 1)) / (n + 1), whatever the scores."""
    exact = math.floor(rate * (n + 1) + 1e-9) / (n + 1)
    spread = math.sqrt(exact / 4000)  # above that of the mean of 4,000 sets of 20 images
    found = false_alarms(rate, n, draw)
    assert abs(found - exact) < 4 * spread
    assert exact <= rate


def test_outliers_among_the_calibration_images_make_it_conservative():
    def polluted(n):
        outliers = n // 10
        return np.r_[RNG.standard_normal(n - outliers), 4 + RNG.standard_normal(outliers)]

    clean = false_alarms(0.1, 100, RNG.standard_normal)
    found = false_alarms(0.1, 100, RNG.standard_normal, polluted)
    assert clean == pytest.approx(0.1, abs=0.005)
    assert 0 < found < 0.03  # 10 of the 100 are above nearly all normals


def test_near_duplicates_in_training_break_the_promise():
    """What the docstring warns of: calibration scores that are lower than those of new images."""
    assert false_alarms(0.1, 100, RNG.standard_normal, lambda n: RNG.normal(size=n) - 1) > 0.2


def test_the_rate_of_one_calibration_set_lies_in_its_range_as_often_as_it_says():
    low, high = rate_range(100, 0.05)
    assert 0 < low < 0.05 < high < 0.12
    # of uniform scores the rate of a set is known: what is left above its threshold
    rates = [1 - threshold(RNG.uniform(size=100), 0.05) for _ in range(4000)]
    assert np.mean([low <= rate <= high for rate in rates]) == pytest.approx(0.9, abs=0.02)
    assert np.mean(rates) == pytest.approx(5 / 101, abs=0.002)
    assert rate_range(10, 0.05) == (0, 0)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_benjamini_and_hochberg_agree_with_scipy(rate):
    for m in (1, 2, 7, 200):
        p = RNG.uniform(size=m) ** 3
        np.testing.assert_array_equal(
            benjamini_hochberg(p, rate), false_discovery_control(p) <= rate
        )
    assert benjamini_hochberg(np.zeros(0), rate).shape == (0,)


def test_equal_p_values_stand_or_fall_together():
    p = np.array([0.01, 0.04, 0.04, 0.04, 0.9])
    assert benjamini_hochberg(p, 0.05).tolist() == [True, True, True, True, False]
    assert not benjamini_hochberg(np.full(10, 1 / 11), 0.05).any()


def test_the_share_of_normals_among_the_flagged_is_kept_and_outliers_are_found():
    false, found = [], []
    for _ in range(1500):
        calibration = RNG.standard_normal(500)
        scores = np.r_[RNG.standard_normal(90), 4 + RNG.standard_normal(10)]
        flagged = benjamini_hochberg(p_values(calibration, scores), 0.2)
        false.append(flagged[:90].sum() / max(1, flagged.sum()))
        found.append(flagged[90:].mean())
    assert 0.14 < np.mean(false) < 0.2  # the theory: the rate times the share of normals, 0.18
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("rate", [0, 1, -0.1, math.nan, "0.05", True, None])
def test_a_rate_out_of_range_is_named(rate):
    with pytest.raises(InputError, match=r"false_alarm_rate is .*; need a number in \(0, 1\)"):
        threshold(np.zeros(3), rate)
    with pytest.raises(InputError, match="false_discovery_rate is"):
        benjamini_hochberg(np.ones(3), rate)


@pytest.mark.parametrize(
    ("calibrated", "count", "rate"), [(20, 40, 0.1), (20, 40, 0.2), (99, 50, 0.05)]
)
def test_fewer_discoveries_than_the_least_are_none(calibrated, count, rate):
    least = least_discoveries(calibrated, count, rate)
    for odd in range(1, count + 1):
        p = np.full(count, 1.0)
        p[:odd] = 1 / (calibrated + 1)
        assert benjamini_hochberg(p, rate).sum() == (odd if odd >= least else 0)
