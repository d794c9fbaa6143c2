"""Two splits of one data set, that have nothing in common."""

import logging

import numpy as np
import pytest

from nsa_core.data import ImageSet, one_class_split
from nsa_core.errors import InputError

RNG = np.random.default_rng(0)


def image_set(count=40, channels=1, names=("good", "bad"), labels=None, size=4):
    images = RNG.integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    labels = np.arange(count) % len(names) if labels is None else np.asarray(labels)
    return ImageSet(images, labels.astype(np.int64), names)


def replaced(test: ImageSet, rows, images) -> ImageSet:
    pixels = test.images.copy()
    pixels[list(rows)] = images
    return ImageSet(pixels, test.labels, test.class_names)


def test_the_training_split_is_no_test_split():
    train = image_set()
    with pytest.raises(InputError, match="are the same images"):
        one_class_split(train, train, 0)


def test_more_than_a_hundredth_of_the_test_images_in_training_is_refused():
    train, test = image_set(400), image_set(400)
    five = replaced(test, range(5), train.images[np.flatnonzero(train.labels == 0)[:5]])
    with pytest.raises(InputError, match="5 of 400 test images are among the training images"):
        one_class_split(train, five, 0)


def test_few_repeated_images_are_counted_and_said(caplog):
    train, test = image_set(400), image_set(400)
    trained = train.images[np.flatnonzero(train.labels == 0)[:2]]
    with caplog.at_level(logging.WARNING, logger="nsa_core"):
        split = one_class_split(train, replaced(test, (7, 30), trained), 0)
    assert split.test_in_training.tolist() == [7, 30]
    assert "2 of 400 test images are among the training images" in caplog.text


def test_an_image_that_is_not_trained_on_may_be_in_the_test_split():
    train, test = image_set(400), image_set(400)
    others = train.images[np.flatnonzero(train.labels == 1)[:20]]
    split = one_class_split(train, replaced(test, range(20), others), 0)
    assert len(split.test_in_training) == 0


def test_a_split_without_the_last_classes_is_one_of_the_same_data_set():
    only_good = image_set(names=("good",))
    test = image_set(names=("good", "bad"))
    split = one_class_split(only_good, test, "good")
    assert len(split.train_images) == 40
    np.testing.assert_array_equal(split.test_is_outlier, test.labels == 1)
    lack = one_class_split(image_set(names=("0", "1", "2")), image_set(names=("0", "1")), 1)
    assert lack.test_is_outlier.sum() == 20


def test_a_grey_split_beside_one_in_colour_is_repeated():
    train, test = image_set(channels=1), image_set(channels=3)
    split = one_class_split(train, test, 0)
    assert split.train_images.shape[1] == split.test_images.shape[1] == 3
    for channel in range(3):
        normals = train.images[train.labels == 0, 0]
        np.testing.assert_array_equal(split.train_images[:, channel], normals)


@pytest.mark.parametrize(
    "test", [image_set(size=5), image_set(names=("good", "worse")), image_set(names=("bad",))]
)
def test_splits_of_other_data_sets_are_refused_with_both_named(test):
    with pytest.raises(InputError, match=r"do not match.*good, bad"):
        one_class_split(image_set(), test, 0)
