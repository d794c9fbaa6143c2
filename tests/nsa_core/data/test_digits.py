import numpy as np
from sklearn.datasets import load_digits

from nsa_core.data import load_images


def test_splits_have_1257_and_540_grey_images_of_16x16(digits):
    train, test = digits
    assert train.images.shape == (1257, 1, 16, 16)
    assert test.images.shape == (540, 1, 16, 16)
    assert train.images.dtype == np.uint8
    assert train.class_names == tuple("0123456789")


def test_splits_partition_scikit_learns_digits_and_double_each_pixel(digits):
    bunch = load_digits()
    expected = np.empty((1797, 16, 16), dtype=np.uint8)
    for row in range(16):
        for column in range(16):
            # 0..16 becomes 0..255, rounded to the nearest
            expected[:, row, column] = np.rint(bunch.images[:, row // 2, column // 2] * 255 / 16)
    ours = np.concatenate([s.images[:, 0] for s in digits])
    labels = np.concatenate([s.labels for s in digits])

    def rows(images, targets):
        return sorted(i.tobytes() + bytes([t]) for i, t in zip(images, targets, strict=True))

    assert rows(ours, labels) == rows(expected, bunch.target)
    assert ours.min() == 0
    assert ours.max() == 255


def test_every_class_is_in_both_splits(digits):
    for split in digits:
        assert np.bincount(split.labels).min() > len(split) / 10 * 0.75


def test_loading_twice_gives_the_same_bits_and_the_splits_differ(digits):
    train, test = digits
    again = load_images("digits", "train")
    np.testing.assert_array_equal(again.images, train.images)
    np.testing.assert_array_equal(again.labels, train.labels)
    assert again.fingerprint == train.fingerprint != test.fingerprint


def test_the_split_is_the_frozen_one(digits):
    # the first labels of each split, written down once: published numbers depend on them
    train, test = digits
    assert train.labels[:8].tolist() == FROZEN_TRAIN
    assert test.labels[:8].tolist() == FROZEN_TEST


FROZEN_TRAIN = [2, 8, 2, 6, 6, 7, 1, 9]
FROZEN_TEST = [1, 9, 9, 7, 1, 8, 5, 0]
