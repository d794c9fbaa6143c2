import numpy as np
import pytest

from nsa_core import InputError
from nsa_core.detector.folds import fold_rows

RNG = np.random.default_rng(0)


def test_every_image_is_in_one_fold_and_folds_are_of_one_size():
    folds = [fold_rows(23, fold, 5, seed=7) for fold in range(5)]
    assert sorted(np.concatenate(folds)) == list(range(23))
    assert sorted(map(len, folds)) == [4, 4, 5, 5, 5]
    assert all((np.diff(rows) > 0).all() for rows in folds)


def test_the_seed_alone_draws_the_folds():
    assert np.array_equal(fold_rows(50, 1, 5, seed=7), fold_rows(50, 1, 5, seed=7))
    assert not np.array_equal(fold_rows(50, 1, 5, seed=7), fold_rows(50, 1, 5, seed=8))
    assert not np.array_equal(fold_rows(50, 1, 5, seed=7), np.arange(10, 20))


def test_a_group_is_in_one_fold_and_folds_stay_about_equal():
    groups = [f"part {index}" for index in RNG.integers(0, 40, 300)]
    folds = [fold_rows(300, fold, 4, seed=0, groups=groups) for fold in range(4)]
    assert sorted(np.concatenate(folds)) == list(range(300))
    homes = [{groups[row] for row in rows} for rows in folds]
    assert sum(map(len, homes)) == len(set(groups))
    largest = max(groups.count(each) for each in groups)
    assert max(map(len, folds)) - min(map(len, folds)) <= largest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, 0, 1, 0), "folds is 1; need a whole number of at least 2"),
        ((9, 3, 3, 0), "fold is 3; with 3 folds need 0 to 2"),
        ((2, 0, 3, 0), "3 folds need at least as many images; there are 2"),
        ((4, 0, 3, 0, list("aabb")), "3 folds need at least as many groups; there are 2"),
        ((4, 0, 2, 0, list("abc")), "groups has 3 entries; need one for each of 4"),
    ],
)
def test_folds_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        fold_rows(*arguments)
