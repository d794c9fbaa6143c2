"""Which classes of a stranger's data set can be normal, and how they are named."""

import unicodedata

import numpy as np
import pytest

from nsa_core import ImageSet, InputError
from studies.plan.classes import normal_classes

NAMES = ("a", "b", "a,b", " c, d", "été", "3")


def split(labels, names=NAMES) -> ImageSet:
    images = np.zeros((len(labels), 1, 2, 2), np.uint8)
    return ImageSet(images, np.array(labels, dtype=np.int64), names)


ALL = split(range(len(NAMES)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", [0]),
        ("b,a", [1, 0]),
        ("a,b", [2]),  # the longest name that fits
        ("b,a,b", [1, 2]),
        ("0,1", [0, 1]),
        (" c, d", [3]),
        ("a, c, d,b", [0, 3, 1]),
        ("2,3", [2, 5]),  # a name goes before an index
        (unicodedata.normalize("NFD", "été") + ",b", [4, 1]),
        ("b,b,1", [1]),
    ],
)
def test_a_list_is_of_names_and_indices_and_names_may_have_commas(text, found):
    assert normal_classes(ALL, ALL, text) == found


@pytest.mark.parametrize(
    ("text", "said"), [("a,c", "unknown class 'c'"), ("a,", "unknown class ''")]
)
def test_a_piece_that_is_no_class_is_named(text, said):
    with pytest.raises(InputError, match=said):
        normal_classes(ALL, ALL, text)


def test_classes_in_a_sequence_are_not_joined():
    assert normal_classes(ALL, ALL, ("a", "b")) == [0, 1]


def test_all_classes_are_those_that_can_be_normal():
    good = split([0, 0, 0], ("good", "bad", "ugly"))
    test = split([0, 1, 2], ("good", "bad", "ugly"))
    assert normal_classes(good, test, ()) == [0]
    assert normal_classes(test, split([0, 1], ("good", "bad", "ugly")), ()) == [0, 1]


def test_without_a_test_split_they_are_those_of_the_training_split():
    good = split([0, 0, 2], ("good", "bad", "ugly"))
    assert normal_classes(good, None, ()) == [0, 2]
    with pytest.raises(InputError, match=r"'bad' cannot be normal: 0 of 3 training images are"):
        normal_classes(good, None, "bad")


def test_the_usual_classes_are_meant_where_several_can_be():
    assert normal_classes(ALL, ALL, "", (1, "a")) == [1, 0]
    assert normal_classes(ALL, ALL, "3", (1, "a")) == [5]
    alone = split([0, 0], ("good",))
    assert normal_classes(alone, None, "", (8, "cat")) == [0]
    assert normal_classes(alone, alone, "", (8, "cat")) == [0]
    with pytest.raises(InputError, match="unknown class 'cat'"):
        normal_classes(alone, None, "cat", (8,))


def test_a_class_without_images_is_refused_with_those_that_have_some():
    good = split([0, 0, 0], ("good", "bad"))
    test = split([0, 1, 1], ("good", "bad"))
    said = r"'bad' cannot be normal: 0 of 3 training images and 2 of 3 test images are of it"
    with pytest.raises(InputError, match=said):
        normal_classes(good, test, "bad")
    with pytest.raises(InputError, match="no class can be normal"):
        normal_classes(good, split([1, 1], ("good", "bad")), ())
