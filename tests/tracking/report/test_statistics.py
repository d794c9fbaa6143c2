"""Intervals cover, tests keep their level: simulated studies, scipy and brute force."""

import itertools

import numpy as np
import pytest
from scipy import stats

from tracking.report.statistics import (
    class_mean,
    effect_size,
    holm,
    interval,
    interval_basis,
    paired_test,
    slope,
    spearman,
    wilcoxon_test,
)

STUDIES = 1000


def simulated(classes, seeds, class_sd, seed_sd, skewed, stream):
    """Values by class around 0; skewed ones to the left, as AUROC near 1 are."""

    def noise(size):
        if skewed:
            return (8 - stream.gamma(8, size=size)) / np.sqrt(8)
        return stream.normal(size=size)

    values = class_sd * noise((classes, 1)) + seed_sd * noise((classes, seeds))
    return dict(enumerate(values))


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "skewed"])
@pytest.mark.parametrize(
    ("classes", "seeds", "class_sd", "seed_sd"),
    [(10, 3, 5, 2), (10, 3, 1, 3), (10, 1, 5, 2), (6, 3, 5, 2), (4, 3, 5, 2), (4, 3, 1, 3),
     (3, 3, 5, 2), (20, 2, 5, 2)],
)  # fmt: skip
def test_intervals_cover_the_truth(classes, seeds, class_sd, seed_sd, skewed):
    stream = np.random.default_rng(7)
    hits = 0
    for _ in range(STUDIES):
        low, high = interval(simulated(classes, seeds, class_sd, seed_sd, skewed, stream))
        hits += low <= 0 <= high
    assert 0.93 <= hits / STUDIES <= 0.97


@pytest.mark.parametrize(("classes", "seeds"), [(1, 3), (2, 3), (2, 2)])
def test_with_one_or_two_classes_the_interval_is_of_these_classes(classes, seeds):
    stream = np.random.default_rng(5)
    hits = 0
    for _ in range(STUDIES):
        effects = stream.normal(scale=5, size=classes)
        values = {c: effects[c] + stream.normal(scale=2, size=seeds) for c in range(classes)}
        low, high = interval(values)
        hits += low <= effects.mean() <= high
    assert 0.93 <= hits / STUDIES <= 0.97
    assert interval_basis(values) == "seeds of these classes"
    assert interval_basis({c: [0.0] for c in range(3)}) == "classes and seeds"


def test_a_percentile_bootstrap_would_not_cover():
    """The simulation can tell: the textbook interval fails it, so passing it means something."""
    stream = np.random.default_rng(7)
    hits = 0
    for _ in range(STUDIES):
        values = simulated(4, 3, 5, 2, False, stream)
        means = np.array([v.mean() for v in values.values()])
        drawn = means[stream.integers(4, size=(500, 4))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        hits += low <= 0 <= high
    assert hits / STUDIES < 0.90


def test_three_to_five_classes_have_students_interval():
    values = {0: [0.9, 0.8], 1: [0.7], 2: [0.6, 0.5, 0.4]}
    means = [0.85, 0.7, 0.5]
    expected = stats.t.interval(0.9, 2, loc=np.mean(means), scale=stats.sem(means))
    assert interval(values, 0.9) == pytest.approx(expected, abs=1e-12)
    assert class_mean(values) == pytest.approx(np.mean(means), abs=1e-12)


def test_one_class_has_students_interval_of_its_seeds():
    seeds = [0.91, 0.93, 0.88]
    expected = stats.t.interval(0.95, 2, loc=np.mean(seeds), scale=stats.sem(seeds))
    assert interval({"cat": seeds, "dog": []}) == pytest.approx(expected, abs=1e-12)


def test_bootstrap_agrees_with_scipys_resampling_of_the_same_pivot():
    stream = np.random.default_rng(3)
    means = stream.gamma(2, size=12)

    def pivot(sample, axis):
        error = sample.std(axis=axis, ddof=1) / np.sqrt(12)
        return (sample.mean(axis=axis) - means.mean()) / error

    reference = stats.bootstrap(
        (means,), pivot, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    error = means.std(ddof=1) / np.sqrt(12)
    expected = means.mean() - reference.high * error, means.mean() - reference.low * error
    found = interval({c: [v] for c, v in enumerate(means)})
    assert found == pytest.approx(expected, abs=0.15 * error)


def test_interval_is_deterministic_and_follows_shift_and_scale():
    values = {c: [float(c) ** 2 % 7, float(c)] for c in range(10)}
    low, high = interval(values)
    assert interval(values) == (low, high)
    moved = interval({c: [10 + 3 * v for v in group] for c, group in values.items()})
    assert moved == pytest.approx((10 + 3 * low, 10 + 3 * high))


def test_nothing_that_repeats_has_no_interval():
    assert interval({0: [0.9]}) is None
    assert interval({0: [0.9], 1: [0.8]}) is None


def test_saturated_classes_have_a_finite_interval():
    values = {c: [1.0] for c in range(9)} | {9: [0.9]}
    low, high = interval(values)
    assert np.isfinite([low, high]).all()
    assert low < 0.99 < high
    assert interval({c: [1.0] for c in range(10)}) == (1.0, 1.0)


@pytest.mark.parametrize("values", [{}, {0: []}, {0: [float("nan")]}, {0: [1.0], 1: [np.inf]}])
def test_nothing_and_not_finite_are_refused(values):
    with pytest.raises(ValueError, match=r"need at least one|not finite"):
        interval(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        interval({0: [1.0, 2.0]}, confidence)


@pytest.mark.parametrize("count", [3, 6, 10, 14])
def test_exact_sign_flips_agree_with_scipy(count):
    units = np.random.default_rng(count).normal(0.6, size=count)
    reference = stats.permutation_test(
        (units,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert paired_test({c: [v] for c, v in enumerate(units)}) == pytest.approx(reference.pvalue)


def test_many_classes_agree_with_the_exact_test():
    units = np.random.default_rng(4).normal(0.45, size=17)
    patterns = np.array(list(itertools.product([-1, 1], repeat=17)))
    exact = np.mean(np.abs(patterns @ units) >= abs(units.sum()) - 1e-9)
    assert paired_test({c: [v] for c, v in enumerate(units)}) == pytest.approx(exact, abs=0.005)


def test_seeds_are_averaged_within_classes_and_pairs_flipped_below_three():
    averaged = {c: [v] for c, v in enumerate((0.2, 0.1, 0.3, -0.05))}
    nested = {c: [group[0] - 0.4, group[0] + 0.4] for c, group in averaged.items()}
    assert paired_test(nested) == pytest.approx(paired_test(averaged))
    assert paired_test({"cat": [0.1, 0.2, 0.3]}) == pytest.approx(2 / 2**3)
    assert paired_test({"cat": [0.0, 0.0]}) == 1.0


def test_ties_and_zeros_count_as_as_far():
    assert paired_test({c: [v] for c, v in enumerate((0.1, 0.2, 0.3, 0.0))}) == 2 / 2**3


@pytest.mark.parametrize("noise", ["normal", "heavy tails", "unequal classes"])
def test_false_alarms_of_the_paired_test(noise):
    stream = np.random.default_rng(11)
    scales = np.array([0.1, 0.1, 0.2, 0.5, 1, 1, 2, 3, 5, 5]) if noise == "unequal classes" else 1
    draws = stream.standard_t(3, size=(4000, 10)) if noise == "heavy tails" else None
    draws = stream.normal(size=(4000, 10)) if draws is None else draws
    alarms = [paired_test({c: [v] for c, v in enumerate(row)}) <= 0.05 for row in draws * scales]
    assert 0.035 <= np.mean(alarms) <= 0.055


def test_the_paired_test_finds_what_is_there():
    stream = np.random.default_rng(12)
    found = [
        paired_test({c: [v] for c, v in enumerate(row)}) <= 0.05
        for row in stream.normal(1.2, size=(300, 10))
    ]
    assert np.mean(found) > 0.85


def test_wilcoxon_is_scipys():
    units = np.random.default_rng(2).normal(0.4, size=9)
    expected = stats.wilcoxon(units).pvalue
    assert wilcoxon_test({c: [v, v] for c, v in enumerate(units)}) == pytest.approx(expected)
    assert wilcoxon_test({c: [0.0] for c in range(4)}) == 1.0


def test_holm_is_the_closed_bonferroni_test():
    """By definition: the largest Bonferroni p value over all subsets that hold a hypothesis."""
    stream = np.random.default_rng(6)
    for _ in range(30):
        p_values = list(stream.random(5) ** 3)
        p_values[1] = p_values[3]
        expected = [
            max(
                min(1.0, len(subset) * min(p_values[i] for i in subset))
                for size in range(1, 6)
                for subset in itertools.combinations(range(5), size)
                if index in subset
            )
            for index in range(5)
        ]
        assert holm(p_values) == pytest.approx(expected, abs=1e-12)
    assert holm([]) == []


def test_effect_size_by_hand():
    found = effect_size({"a": [0.02, 0.04], "b": [0.06, 0.06], "c": [-0.01, 0.0]})
    means = np.array([0.03, 0.06, -0.005])
    assert found.mean == pytest.approx(means.mean())
    assert found.d_z == pytest.approx(means.mean() / means.std(ddof=1) * (1 - 3 / 7))
    assert (found.improved, found.pairs) == (pytest.approx(4.5 / 6), 6)
    for without_spread in ({"a": [0.1]}, {"a": [0.1, 0.2]}, {c: [0.1] for c in range(4)}):
        assert effect_size(without_spread).d_z is None


def test_hedges_correction_removes_the_bias():
    stream = np.random.default_rng(9)
    draws = stream.normal(0.8, size=(4000, 8))
    found = [effect_size({c: [v] for c, v in enumerate(row)}).d_z for row in draws]
    raw = draws.mean(axis=1) / draws.std(axis=1, ddof=1)
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)
    assert np.mean(raw) > 0.85


def test_slope_and_rank_correlation():
    x, y = [0.0, 0.1, 0.2, 0.4], [0.9, 0.85, 0.86, 0.7]
    assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])
    assert slope([0.1, 0.1], [0.9, 0.8]) is None
    ranks = np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]
    assert spearman(x, y) == pytest.approx(ranks)
    assert spearman(x, [1.0] * 4) is None
