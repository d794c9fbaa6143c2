import hashlib

import numpy as np
import pytest

from nsa_core.data import ImageSet, class_index, one_class_split
from nsa_core.errors import InputError


def image_set(per_class: int, classes: int = 3, *, offset: int = 0) -> ImageSet:
    """Tiny images whose pixels spell their row number, so that each can be recognised."""
    count = per_class * classes
    rows = np.arange(offset, offset + count, dtype=">u4").view(np.uint8).reshape(count, 1, 2, 2)
    labels = np.random.default_rng(count).permutation(np.repeat(np.arange(classes), per_class))
    return ImageSet(rows, labels, tuple(f"class {i}" for i in range(classes)))


@pytest.fixture(scope="module")
def sets():
    return image_set(5000), image_set(100, offset=1 << 20)


@pytest.mark.parametrize(
    ("normals", "outliers"), [(5000, 555), (2500, 277), (6000, 666)], ids=str
)  # METHODS, section 5
def test_a_tenth_of_pollution_is_as_many_outliers_as_published(normals, outliers):
    split = one_class_split(image_set(normals), image_set(2, offset=1 << 20), 1, 0.1)
    assert len(split.train_images) == normals + outliers
    assert split.is_pollution.sum() == outliers


@pytest.mark.parametrize("pollution", [0.0, 0.01, 0.05, 0.25, 0.5])
def test_the_outliers_share_of_the_training_set_is_p(sets, pollution):
    split = one_class_split(*sets, 0, pollution)
    assert split.is_pollution.mean() == pytest.approx(pollution, abs=1 / 5000)


def test_all_normals_are_kept_in_order_before_the_pollution(sets):
    train, test = sets
    split = one_class_split(train, test, 2, 0.1)
    np.testing.assert_array_equal(
        split.train_indices[~split.is_pollution], np.flatnonzero(train.labels == 2)
    )
    assert not split.is_pollution[:5000].any()
    assert split.is_pollution[5000:].all()


def test_outliers_are_distinct_training_rows_of_other_classes_and_never_test_images(sets):
    train, test = sets
    split = one_class_split(train, test, 1, 0.3)
    taken = split.train_indices[split.is_pollution]
    assert len(set(taken)) == len(taken)
    assert (train.labels[taken] != 1).all()
    np.testing.assert_array_equal(split.train_images, train.images[split.train_indices])
    in_test = {image.tobytes() for image in test.images}
    assert not any(image.tobytes() in in_test for image in split.train_images)


def test_outliers_come_from_all_other_classes_alike(sets):
    train, test = sets
    split = one_class_split(train, test, 1, 0.3)
    counts = np.bincount(train.labels[split.train_indices[split.is_pollution]], minlength=3)
    assert counts[1] == 0
    # hypergeometric, standard deviation below 20 of about 1071
    assert abs(counts[0] - counts[2]) < 200


def test_for_one_seed_less_pollution_is_a_subset_of_more(sets):
    before: set[int] = set()
    for pollution in (0.0, 0.01, 0.05, 0.1, 0.3, 0.5):
        split = one_class_split(*sets, 0, pollution, seed=3)
        now = set(split.train_indices[split.is_pollution])
        assert before < now or pollution == 0
        before = now


def test_the_seed_decides_the_outliers_and_the_fingerprint(sets):
    first, again, other = (one_class_split(*sets, 0, 0.1, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train_indices, again.train_indices)
    assert first.fingerprint == again.fingerprint
    assert set(first.train_indices) != set(other.train_indices)
    assert first.fingerprint != other.fingerprint


def test_without_pollution_the_seed_changes_nothing(sets):
    first, other = (one_class_split(*sets, 0, 0.0, seed=seed) for seed in (0, 1))
    assert first.fingerprint == other.fingerprint


def test_fingerprint_names_class_and_test_split(sets):
    train, test = sets
    prints = {one_class_split(train, test, index).fingerprint for index in range(3)}
    prints.add(one_class_split(train, image_set(99, offset=1 << 21), 0).fingerprint)
    assert len(prints) == 4


def test_the_whole_test_split_is_kept_and_flagged(sets):
    train, test = sets
    split = one_class_split(train, test, 1, 0.1)
    np.testing.assert_array_equal(split.test_images, test.images)
    np.testing.assert_array_equal(split.test_is_outlier, test.labels != 1)
    assert split.normal_class == 1


@pytest.mark.parametrize("pollution", [-0.01, 0.51, 1.0, float("nan")])
def test_pollution_outside_0_to_half_is_refused(sets, pollution):
    with pytest.raises(InputError, match=rf"pollution is {pollution}; need a share in \[0, 0.5\]"):
        one_class_split(*sets, 0, pollution)


def test_too_few_outliers_are_refused_with_both_numbers():
    labels = np.array([0] * 10 + [1] * 2)
    images = np.zeros((12, 1, 2, 2), dtype=np.uint8)
    lopsided = ImageSet(images, labels, ("a", "b"))
    test = ImageSet(images + 1, labels, ("a", "b"))
    assert len(one_class_split(lopsided, test, "a", 0.1).train_images) == 11
    with pytest.raises(InputError, match="need 10 outliers; the training split has 2"):
        one_class_split(lopsided, test, "a", 0.5)


def test_classes_go_by_name_and_by_index(sets):
    train, test = sets
    by_name = one_class_split(train, test, "class 2", 0.1)
    by_index = one_class_split(train, test, 2, 0.1)
    assert by_name.fingerprint == by_index.fingerprint
    assert class_index(train, "1") == 1


def test_a_name_that_is_a_number_wins_over_the_index():
    named = ImageSet(np.zeros((3, 1, 2, 2), dtype=np.uint8), np.array([0, 1, 2]), ("2", "0", "1"))
    assert class_index(named, "2") == 0
    assert class_index(named, 2) == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("class 7", r"unknown class 'class 7'.*known: class 0, class 1, class 2"),
        (3, "class 3 is out of range; the data set has 3 classes, 0 to 2"),
        (-1, "class -1 is out of range"),
    ],
)
def test_unknown_classes_are_refused_by_name_and_by_index(sets, wanted, message):
    with pytest.raises(InputError, match=message):
        one_class_split(*sets, wanted)


def test_a_class_without_images_is_refused(sets):
    train, test = sets
    without = ImageSet(train.images, np.where(train.labels == 0, 1, train.labels), test.class_names)
    with pytest.raises(InputError, match="'class 0' has no image in the training split"):
        one_class_split(without, test, 0)
    lone = ImageSet(test.images, np.zeros_like(test.labels), test.class_names)
    with pytest.raises(InputError, match="needs images of class 'class 0' and of others"):
        one_class_split(train, lone, 0)


def test_the_fingerprint_is_that_of_data_class_and_rows(sets):
    """As it has always been: checkpoints know the data by it."""
    train, test = sets
    split = one_class_split(train, test, 1, 0.1)
    text = f"{train.fingerprint} {test.fingerprint} 1".encode()
    assert split.fingerprint == hashlib.sha256(text + split.train_indices.tobytes()).hexdigest()


def test_without_a_test_split_there_are_the_same_training_images_and_no_others(sets):
    train, test = sets
    whole, alone = (one_class_split(train, t, 1, 0.1, held_out=0.1) for t in (test, None))
    np.testing.assert_array_equal(alone.train_indices, whole.train_indices)
    np.testing.assert_array_equal(alone.train_images, whole.train_images)
    np.testing.assert_array_equal(alone.held_out.images, whole.held_out.images)
    assert alone.test_images.shape == (0, 1, 2, 2)
    assert alone.test_images.dtype == np.uint8
    assert alone.test_is_outlier.shape == alone.test_in_training.shape == (0,)
    assert alone.fingerprint != whole.fingerprint


def test_a_test_split_of_normals_alone_is_for_those_who_ask_for_it(sets):
    train, test = sets
    rows = test.labels == 0
    normals = ImageSet(test.images[rows], test.labels[rows], test.class_names)
    with pytest.raises(InputError, match="needs images of class 'class 0' and of others"):
        one_class_split(train, normals, 0)
    split = one_class_split(train, normals, 0, without_outliers=True)
    assert len(split.test_images) == 100
    assert not split.test_is_outlier.any()
    with pytest.raises(InputError, match=r"needs images of class 'class 1'$"):
        one_class_split(train, normals, 1, without_outliers=True)


def test_held_out_images_are_training_rows_that_are_not_trained_on(sets):
    train, test = sets
    split = one_class_split(train, test, 1, 0.1, held_out=0.1)
    held = split.held_out
    assert (~held.is_outlier).sum() == held.is_outlier.sum() == 500
    assert (~split.is_pollution).sum() == 4500
    assert split.is_pollution.sum() == 500  # a tenth of what is trained on
    row_of = {image.tobytes(): row for row, image in enumerate(train.images)}
    rows = np.array([row_of[image.tobytes()] for image in held.images])
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(train.labels[rows] != 1, held.is_outlier)
    assert not set(rows) & set(split.train_indices)


def test_held_out_images_stay_the_same_when_pollution_changes(sets):
    low, high = (one_class_split(*sets, 1, p, held_out=0.2).held_out for p in (0.0, 0.2))
    np.testing.assert_array_equal(low.images, high.images)
    other = one_class_split(*sets, 1, 0.0, seed=1, held_out=0.2).held_out
    assert not np.array_equal(low.images, other.images)


def test_without_held_out_nothing_is_withheld(sets):
    split = one_class_split(*sets, 1)
    assert split.held_out is None
    assert len(split.train_images) == 5000


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_a_held_out_share_out_of_range_is_refused(sets, share):
    with pytest.raises(InputError, match=rf"held_out is {share}; need a share in \[0, 0.5\]"):
        one_class_split(*sets, 1, held_out=share)


def test_a_held_out_share_of_less_than_an_image_is_refused(sets):
    with pytest.raises(InputError, match=r"is none; use at least 0\.0002"):
        one_class_split(*sets, 1, held_out=1e-5)
