import warnings

import numpy as np
import pytest

from nsa_core.detector.withheld import CalibrationWarning, split_rows, warn_of_few
from nsa_core.errors import InputError


@pytest.mark.parametrize(("count", "share", "withheld"), [(10, 0.2, 2), (11, 0.5, 6), (7, 0, 0)])
def test_every_row_is_on_one_side_and_the_share_is_kept(count, share, withheld):
    train, aside = split_rows(count, share, 0)
    assert len(aside) == withheld
    assert np.array_equal(np.sort(np.r_[train, aside]), np.arange(count))
    assert (np.diff(train) > 0).all()
    assert (np.diff(aside) > 0).all()


def test_the_seed_draws_and_every_image_is_as_likely():
    assert np.array_equal(split_rows(50, 0.2, 3)[1], split_rows(50, 0.2, 3)[1])
    drawn = np.bincount(np.concatenate([split_rows(20, 0.25, seed)[1] for seed in range(800)]))
    assert len(drawn) == 20
    assert abs(drawn - 200).max() < 5 * np.sqrt(200 * 0.75)


def test_groups_are_withheld_whole():
    groups = [f"tile {index // 6}" for index in range(120)]
    train, aside = split_rows(120, 0.2, 0, groups)
    assert len(aside) == 24
    assert not {groups[row] for row in train} & {groups[row] for row in aside}


def test_a_group_that_is_larger_than_the_share_is_trained_on():
    train, aside = split_rows(10, 0.2, 0, ["one"] * 10)
    assert (len(train), len(aside)) == (10, 0)


@pytest.mark.parametrize("share", [-0.1, 0.6, float("nan"), "0.2", True])
def test_a_share_out_of_range_is_named(share):
    with pytest.raises(InputError, match="calibration is"):
        split_rows(10, share, 0)


def test_groups_of_another_number_are_refused():
    with pytest.raises(InputError, match="groups has 3 entries; need one for each of 10"):
        split_rows(10, 0.2, 0, [1, 2, 3])


def test_too_few_images_are_said_with_what_would_do():
    with pytest.warns(CalibrationWarning) as caught:
        warn_of_few(10, 0.2, 0.05)
    (said,) = (str(each.message) for each in caught)
    assert "10 calibration images can promise no false-alarm rate below 9.09%" in said
    assert "nothing is flagged" in said
    assert "false_alarm_rate of 0.091, or 19 calibration images" in said
    assert "calibration=0.2 withholds so many of 95 images" in said
    assert len(split_rows(95, 0.2, 0)[1]) == 19
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few(19, 0.2, 0.05)


def test_groups_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="groups cannot be compared"):
        split_rows(4, 0.5, 0, ["a", None, "a", None])


def test_where_no_group_fits_the_warning_says_so():
    rows, withheld = split_rows(40, 0.2, 0, np.zeros(40))
    assert (len(rows), len(withheld)) == (40, 0)
    with pytest.warns(CalibrationWarning, match="no image is withheld .* no whole group"):
        warn_of_few(0, 0.2, 0.05)
