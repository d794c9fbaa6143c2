import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from nsa_core.errors import InputError
from nsa_core.scorers import CosineKNN

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(300, 12)), RNG.normal(size=(50, 12))


@pytest.mark.parametrize("k", [1, 2, 7, 300])
def test_scores_are_the_mean_angle_to_scikit_learns_neighbours(k):
    distances, _ = NearestNeighbors(n_neighbors=k, metric="cosine").fit(TRAIN).kneighbors(TEST)
    expected = np.arccos(1 - distances).mean(axis=1)
    np.testing.assert_allclose(CosineKNN(k).fit(TRAIN).score(TEST), expected, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 4, 299])
def test_a_training_row_left_out_is_compared_with_all_the_others(k):
    expected = [
        CosineKNN(k).fit(np.delete(TRAIN, i, axis=0)).score(TRAIN[i : i + 1])[0] for i in range(300)
    ]
    np.testing.assert_allclose(CosineKNN(k).fit(TRAIN).leave_one_out(), expected, rtol=1e-9)


def test_more_neighbours_than_rows_are_all_of_them():
    few = TRAIN[:5]
    np.testing.assert_allclose(
        CosineKNN(50).fit(few).score(TEST), CosineKNN(5).fit(few).score(TEST), rtol=1e-12
    )


def test_more_queries_than_a_block_are_scored_one_as_another():
    queries = RNG.normal(size=(2500, 12))
    scorer = CosineKNN().fit(TRAIN)
    apart = np.concatenate([scorer.score(part) for part in np.array_split(queries, 11)])
    np.testing.assert_allclose(scorer.score(queries), apart, rtol=1e-9)


def test_a_training_row_is_at_no_angle_from_itself_and_its_opposite_at_a_half_turn():
    scorer = CosineKNN().fit(TRAIN[:1])
    assert scorer.score(5 * TRAIN[:1])[0] < 1e-12
    half_turn = scorer.score(-TRAIN[:1])[0]
    assert half_turn == pytest.approx(np.pi, abs=1e-7)  # a chord near 2 says little of its angle


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2"])
def test_what_is_no_number_of_neighbours_is_refused(k):
    with pytest.raises(InputError, match=f"k is {k!r}; need a whole number of at least 1"):
        CosineKNN(k).fit(TRAIN)


def test_neighbours_of_very_compact_features_are_the_nearest():
    centre = np.full(12, 10.0)
    train = centre + 1e-3 * TRAIN
    test = centre + 1e-3 * TEST
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test)]
    gaps = np.linalg.norm(units[1][:, None] - units[0], axis=2)
    expected = 2 * np.arcsin(gaps.min(axis=1) / 2)
    np.testing.assert_allclose(CosineKNN().fit(train).score(test), expected, rtol=1e-9)
