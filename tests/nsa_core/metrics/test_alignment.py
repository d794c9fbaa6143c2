import math

import numpy as np
import pytest
import torch
from scipy.stats import vonmises_fisher

from nsa_core.errors import InputError
from nsa_core.metrics import alignment

RNG = np.random.default_rng(0)


def by_rows(first, second, alpha):
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        lengths = [math.sqrt(sum(v * v for v in row)) for row in (a, b)]
        squares = sum((v / lengths[0] - w / lengths[1]) ** 2 for v, w in zip(a, b, strict=True))
        total += math.sqrt(squares) ** alpha
    return total / len(first)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 4.0])
def test_alignment_equals_a_loop_over_pairs(alpha):
    first = RNG.normal(size=(30, 7))
    second = first + RNG.normal(size=(30, 7))
    expected = by_rows(first, second, alpha)
    assert alignment(first, second, alpha) == pytest.approx(expected, rel=1e-12)


def test_by_default_it_is_that_of_wang_and_isola():
    first, second = torch.randn(2, 50, 16, generator=torch.Generator().manual_seed(0))
    a, b = (torch.nn.functional.normalize(x.double(), dim=1) for x in (first, second))
    theirs = (a - b).norm(p=2, dim=1).pow(2).mean().item()
    assert alignment(first.numpy(), second.numpy()) == pytest.approx(theirs, rel=1e-12)


def test_squared_it_is_twice_one_minus_the_mean_cosine():
    first, second = vonmises_fisher([0, 0, 1], 4.0).rvs(200, random_state=RNG).reshape(2, 100, 3)
    cosine = (first * second).sum(axis=1).mean()
    assert alignment(first, second) == pytest.approx(2 - 2 * cosine, rel=1e-12)


def test_it_is_zero_for_equal_views_and_two_to_the_alpha_for_opposite_ones():
    views = RNG.normal(size=(20, 5))
    for alpha in (1.0, 2.0, 3.0):
        assert alignment(views, views, alpha) == 0
        assert alignment(views, -views, alpha) == pytest.approx(2**alpha, rel=1e-12)
    assert alignment(np.eye(4), np.roll(np.eye(4), 1, axis=0)) == pytest.approx(2, rel=1e-12)


def test_scaling_rows_and_swapping_views_changes_nothing():
    first, second = RNG.normal(size=(2, 20, 5))
    value = alignment(first, second)
    assert alignment(second, first) == value
    scaled = first * RNG.uniform(0.01, 100, (20, 1))
    assert alignment(scaled, second) == pytest.approx(value, rel=1e-12)


def test_rows_are_compared_in_order():
    first = RNG.normal(size=(20, 5))
    assert alignment(first, first[::-1]) > 0.5


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((3, 4)), np.ones((2, 4)), r"views are \[3, 4\] and \[2, 4\]"),
        (np.ones((3, 4)), np.ones((1, 4)), r"views are \[3, 4\] and \[1, 4\]; need two of one"),
        (np.ones((3, 4)), np.ones((3, 5)), r"views are \[3, 4\] and \[3, 5\]"),
        (np.ones(4), np.ones(4), r"features are \[4\]"),
        (np.eye(2), np.array([[1.0, 0.0], [0.0, 0.0]]), "row 1 is all zeros"),
        (np.array([[np.nan, 1.0]]), np.ones((1, 2)), "not finite"),
    ],
)
def test_views_that_are_no_pairs_of_directions_are_refused(first, second, message):
    with pytest.raises(InputError, match=message):
        alignment(first, second)


@pytest.mark.parametrize("alpha", [0, -1.0, math.nan])
def test_alpha_must_be_above_zero(alpha):
    with pytest.raises(InputError, match=f"alpha is {alpha}; need a number above 0"):
        alignment(np.eye(3), np.eye(3), alpha)
