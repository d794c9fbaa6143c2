import math

import numpy as np
import pytest

from nsa_core.errors import InputError
from nsa_core.metrics import effective_rank, spread

RNG = np.random.default_rng(0)


def slow_spread(features):
    rows = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in features.tolist()]
    deviations = []
    for column in zip(*rows, strict=True):
        mean = sum(column) / len(column)
        deviations.append(math.sqrt(sum((v - mean) ** 2 for v in column) / len(column)))
    return sum(deviations) / len(deviations) * math.sqrt(len(deviations))


def test_spread_equals_a_loop_over_coordinates():
    features = RNG.normal(size=(40, 7)) * RNG.uniform(0.1, 9, (40, 1)) + 0.5
    assert spread(features) == pytest.approx(slow_spread(features), rel=1e-12)


def test_spread_is_about_one_without_a_common_mean_and_zero_when_collapsed():
    assert spread(RNG.normal(size=(2000, 128))) == pytest.approx(1, abs=0.01)
    row = RNG.normal(size=(1, 16))
    assert spread(row * RNG.uniform(0.1, 9, (50, 1))) < 1e-12


def test_effective_rank_equals_the_entropy_of_the_covariances_roots():
    features = RNG.normal(size=(60, 9)) @ RNG.normal(size=(9, 9)) + 3
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    roots = np.sqrt(np.linalg.eigvalsh(np.cov(unit.T)))  # singular values, up to a factor
    share = roots / roots.sum()
    expected = math.exp(-sum(s * math.log(s) for s in share))
    assert effective_rank(features) == pytest.approx(expected, rel=1e-9)
    assert 1 < expected < 9


def test_effective_rank_counts_equal_directions():
    for rank in (1, 3, 8):
        axes = np.eye(16)[:rank] * 0.1
        features = np.concatenate([axes, -axes]) + np.eye(16)[15]
        assert effective_rank(features) == pytest.approx(rank, rel=1e-9)


def test_effective_rank_of_equal_rows_is_zero():
    row = RNG.normal(size=(1, 16))
    assert effective_rank(np.repeat(row, 20, axis=0)) == 0
    assert effective_rank(row * RNG.uniform(0.1, 9, (20, 1))) == 0


@pytest.mark.parametrize("metric", [spread, effective_rank])
def test_features_without_directions_are_refused(metric):
    with pytest.raises(InputError, match="row 1 is all zeros"):
        metric(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(InputError, match="not finite"):
        metric(np.array([[1.0, np.nan]]))
