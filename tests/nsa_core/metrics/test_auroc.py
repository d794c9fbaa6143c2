import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nsa_core.errors import InputError
from nsa_core.metrics import auroc

RNG = np.random.default_rng(0)


def by_pairs(scores, outlier):
    """Every outlier against every normal, in Python's exact arithmetic."""
    values = scores.tolist()
    positives = [v for v, o in zip(values, outlier, strict=True) if o]
    negatives = [v for v, o in zip(values, outlier, strict=True) if not o]
    wins = sum((a > b) + (a == b) / 2 for a, b in itertools.product(positives, negatives))
    return wins / (len(positives) * len(negatives))


@pytest.mark.parametrize(
    "dtype", [bool, np.float16, np.float32, np.float64, np.int8, np.int64, np.uint8, np.uint64]
)
@pytest.mark.parametrize("levels", [2, 5, 100], ids=lambda n: f"{n}-levels")
def test_with_many_ties_it_equals_scikit_learn_and_a_count_of_pairs(dtype, levels):
    for _ in range(20):
        scores = RNG.integers(0, levels, 60).astype(dtype)
        outlier = RNG.random(60) < RNG.uniform(0.1, 0.9)
        if outlier.all() or not outlier.any():
            continue
        value = auroc(scores, outlier)
        assert value == pytest.approx(by_pairs(scores, outlier), abs=1e-15)
        assert value == pytest.approx(roc_auc_score(outlier, scores.astype(float)), abs=1e-12)


@pytest.mark.parametrize("decimals", [15, 3], ids=["no-ties", "ties"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_million_scores_equal_scikit_learns(dtype, decimals):
    outlier = RNG.random(10**6) < 0.9
    scores = np.round(RNG.normal(size=10**6) + 0.7 * outlier, decimals).astype(dtype)
    assert auroc(scores, outlier) == pytest.approx(roc_auc_score(outlier, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scale", "shift"),
    [(1e-300, 0), (1e-30, 0), (1e-6, 1), (1, -1e4), (100, 30), (1e30, -1e30), (1e300, 0)],
)
def test_scores_of_any_range_equal_scikit_learns(scale, shift):
    outlier = RNG.random(500) < 0.5
    scores = (RNG.normal(size=500) + outlier) * scale + shift
    value = auroc(scores, outlier)
    assert value == pytest.approx(roc_auc_score(outlier, scores), abs=1e-12)
    assert 0.65 < value < 0.9


def test_integers_beyond_the_digits_of_a_float_keep_their_order():
    base = 2**60
    scores = np.array([base, base + 1, base + 2, base + 3])
    assert auroc(scores, [False, True, False, True]) == by_pairs(scores, [0, 1, 0, 1]) == 0.75
    assert len(np.unique(scores.astype(float))) == 1


def test_float16_infinities_and_large_values_are_ranked_as_they_are():
    scores = np.array([60000, np.inf, -np.inf, 1], dtype=np.float16)
    assert auroc(scores, [0, 1, 0, 1]) == 0.75
    assert auroc([np.inf, np.inf, 0.0], [True, False, False]) == 0.75


def test_scores_far_outside_0_to_1_are_not_squashed():
    """torchmetrics 1.9's BinaryAUROC applies a sigmoid, which makes all these 1: it returns 0.5."""
    scores = (30 + RNG.normal(size=200) * 0.5).astype(np.float32)
    outlier = scores + RNG.normal(size=200) * 0.5 > 30
    squashed = 1 / (1 + np.exp(-scores, dtype=np.float32))
    assert auroc(scores, outlier) == pytest.approx(roc_auc_score(outlier, scores), abs=1e-12)
    assert auroc(scores, outlier) > 0.7
    assert roc_auc_score(outlier, squashed) == 0.5


def test_any_increasing_map_leaves_it_and_negation_mirrors_it():
    scores, outlier = RNG.normal(size=300), RNG.random(300) < 0.3
    value = auroc(scores, outlier)
    assert auroc(np.exp(3 * scores) + 5, outlier) == value
    assert auroc(-scores, outlier) == pytest.approx(1 - value, abs=1e-15)


def test_perfect_reversed_and_constant_scores():
    outlier = np.array([False] * 5 + [True] * 3)
    assert auroc(np.arange(8), outlier) == 1
    assert auroc(-np.arange(8), outlier) == 0
    assert auroc(np.zeros(8), outlier) == 0.5


@pytest.mark.parametrize("kind", [bool, np.int64, np.uint8, np.float32, list])
def test_flags_may_be_booleans_or_zeros_and_ones(kind):
    scores, outlier = np.arange(6.0), np.array([0, 1, 0, 0, 1, 1])
    flags = outlier.tolist() if kind is list else outlier.astype(kind)
    assert auroc(scores, flags) == 7 / 9


def test_pooled_value_is_the_size_weighted_mean_over_outlier_classes():
    """METHODS, section 4.1."""
    classes = RNG.choice(4, 500, p=[0.4, 0.1, 0.2, 0.3])
    scores = np.round(RNG.normal(size=500) + 0.3 * classes, 1)
    normal = classes == 0
    total = 0.0
    for each in (1, 2, 3):
        rows = normal | (classes == each)
        total += auroc(scores[rows], classes[rows] != 0) * (classes == each).sum()
    assert auroc(scores, ~normal) == pytest.approx(total / (~normal).sum(), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "outlier", "message"),
    [
        ([0.1, np.nan, np.nan, 1], [0, 1, 0, 1], "scores hold 2 NaN of 4"),
        ([1, 2, 3], [0, 0, 0], "needs normals and outliers; got 3 and 0"),
        ([1, 2, 3], [True, True, True], "got 0 and 3"),
        ([1, 2, 3], [0, 1], r"scores \[3\] and is_outlier \[2\]"),
        ([[1, 2], [3, 4]], [[0, 1], [0, 1]], r"scores \[2, 2\]"),
        ([1, 2, 3], [0, 1, 2], "is_outlier holds 2; need booleans, or 0 and 1"),
        ([1, 2, 3], [0, 1, -1], "is_outlier holds -1"),
        ([1, 2, 3], [0, 1, np.nan], "is_outlier holds nan"),
        (["a", "b"], [0, 1], "need real numbers"),
        ([1j, 2j], [0, 1], "scores are complex128"),
        ([], [], "got 0 and 0"),
    ],
)
def test_what_has_no_answer_is_refused(scores, outlier, message):
    with pytest.raises(InputError, match=message):
        auroc(scores, outlier)
