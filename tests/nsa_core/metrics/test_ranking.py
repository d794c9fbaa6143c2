import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from nsa_core.errors import InputError
from nsa_core.metrics import Ranking, auprc, auroc, fpr_at_recall, ranking

RNG = np.random.default_rng(0)


def cases(count):
    for index in range(count):
        size = int(RNG.integers(5, 80))
        scores = RNG.integers(0, (3, 20, 10**6)[index % 3], size).astype(float)
        outlier = RNG.random(size) < RNG.uniform(0.1, 0.9)
        if outlier.any() and not outlier.all():
            yield scores, outlier


def by_thresholds(scores, outlier, recall):
    """Try every threshold; the false positives of the highest one that recalls enough."""
    for threshold in sorted(set(scores.tolist()), reverse=True):
        flagged = scores >= threshold
        hits = (flagged & outlier).sum()
        if hits >= recall * outlier.sum() - 1e-9:
            return (flagged & ~outlier).sum() / (~outlier).sum()
    raise AssertionError


def test_average_precision_equals_scikit_learns_with_ties():
    for scores, outlier in cases(300):
        expected = average_precision_score(outlier, scores)
        assert auprc(scores, outlier) == pytest.approx(expected, abs=1e-12)


def test_average_precision_of_constant_scores_is_the_share_of_outliers():
    outlier = np.array([True] * 3 + [False] * 9)
    assert auprc(np.ones(12), outlier) == 0.25
    assert auprc(outlier.astype(int), outlier) == 1


@pytest.mark.parametrize("recall", [0.5, 0.8, 0.9, 0.95, 1.0])
def test_false_positives_equal_a_search_over_all_thresholds(recall):
    for scores, outlier in cases(200):
        expected = by_thresholds(scores, outlier, recall)
        assert fpr_at_recall(scores, outlier, recall) == pytest.approx(expected, abs=1e-12)


def test_the_default_recall_is_95_percent():
    outlier = np.array([True] * 100 + [False] * 100)
    # the 95th outlier from above scores 105; half of the normals score just more
    scores = np.concatenate([np.arange(100, 200), np.tile([105.5, -1], 50)])
    assert fpr_at_recall(scores, outlier) == by_thresholds(scores, outlier, 0.95) == 0.5
    assert fpr_at_recall(scores, outlier, 0.94) == 0


def test_recall_that_is_a_whole_number_of_outliers_is_not_rounded_up():
    """0.7 * 10 is 7.000000000000001 or 6.999999999999999 in floats; seven outliers are enough."""
    outlier = np.array([True] * 10 + [False])
    scores = np.array([11.0, 10, 9, 8, 7, 6, 5, 3, 2, 1, 4])
    assert fpr_at_recall(scores, outlier, 0.7) == 0
    assert fpr_at_recall(scores, outlier, 0.71) == 1


@pytest.mark.parametrize("metric", [auprc, fpr_at_recall])
def test_bad_input_is_refused_as_for_auroc(metric):
    with pytest.raises(InputError, match="NaN"):
        metric([np.nan, 1], [0, 1])
    with pytest.raises(InputError, match="got 2 and 0"):
        metric([0, 1], [0, 0])
    with pytest.raises(InputError, match="is_outlier holds 2"):
        metric([0, 1], [0, 2])


@pytest.mark.parametrize("recall", [0, -1, 1.5, float("nan")])
def test_a_recall_that_is_no_share_is_refused(recall):
    with pytest.raises(InputError, match=rf"recall is {recall}; need a share in \(0, 1\]"):
        fpr_at_recall([0.1, 0.9], [False, True], recall)


def test_all_three_from_one_sort_are_the_three_to_the_bit():
    for scores, outlier in cases(200):
        expected = Ranking(
            auroc(scores, outlier), auprc(scores, outlier), fpr_at_recall(scores, outlier)
        )
        assert ranking(scores, outlier) == expected
