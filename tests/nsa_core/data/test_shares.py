"""What a one-class split may ask for where there is one class, or no test split."""

import numpy as np
import pytest

from nsa_core.data import ImageSet, shares
from nsa_core.errors import InputError


def image_set(labels) -> ImageSet:
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return ImageSet(np.repeat(images, 4, 3), np.array(labels), ("good", "bad"))


BOTH, NORMALS = image_set([0] * 20 + [1] * 20), image_set([0] * 20)


@pytest.mark.parametrize(
    ("pollution", "held_out", "hidden", "withheld"),
    [(0.0, 0.0, 0, 0), (0.2, 0.0, 5, 0), (0.0, 0.25, 0, 5), (0.5, 0.25, 15, 5)],
)
def test_they_are_shares_of_what_is_trained_on_and_of_the_normals(
    pollution, held_out, hidden, withheld
):
    assert shares(BOTH, BOTH, 0, pollution, held_out) == (hidden, withheld)


def test_one_class_alone_is_enough_where_no_other_is_asked_for():
    assert shares(NORMALS, None, 0) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"pollution": 0.01}, "pollution 0.01: need"),  # of which a fifth of an image would be
        ({"held_out": 0.1}, "held_out 0.1: need"),
        ({"probe_images": 9}, "probe_images 9: need"),
        ({"pollution": 0.1, "held_out": 0.1}, "pollution 0.1 and held_out 0.1: need"),
    ],
)
def test_images_of_other_classes_are_refused_where_there_are_none(asked, said):
    why = f"{said} training images of other classes, and all 20 are of class 'good'; use 0"
    for test in (None, BOTH):
        with pytest.raises(InputError, match=why):
            shares(NORMALS, test, 0, **asked)


def test_a_probe_needs_a_test_split():
    assert shares(BOTH, BOTH, 0, probe_images=9) == (0, 0)
    with pytest.raises(InputError, match=r"probe_images 9: .*no test split; use 0"):
        shares(BOTH, None, 0, probe_images=9)
