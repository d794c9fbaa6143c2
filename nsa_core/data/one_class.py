"""The one-class protocol: one class is normal, p of the training set are hidden outliers."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsa_core.data.image_set import ImageSet, same_spelling
from nsa_core.data.matching import matched, seen_in_training
from nsa_core.data.shares import shares
from nsa_core.errors import InputError, unknown
from nsa_core.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Training images withheld from training, for selection without the test split.

    Attributes:
        images: uint8 [k, C, H, W], withheld normals, then as many images of other classes.
        is_outlier: bool [k]; the labels of the training split are all it takes.
    """

    images: npt.NDArray[np.uint8]
    is_outlier: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled images of all classes, for probes; nothing that selects may read them.

    Attributes:
        train_images: uint8 [k, C, H, W], drawn from the whole training split.
        train_labels: int64 [k].
        test_labels: int64 [m], of the split's test images.
    """

    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    test_labels: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OneClassSplit:
    """Training and test data of one trial.

    Attributes:
        train_images: uint8 [n, C, H, W], the normals in their original order, then the pollution.
        is_pollution: bool [n], which of them are outliers. Training must not look at it.
        train_indices: int64 [n], their rows in the training split.
        test_images: uint8 [m, C, H, W], the whole test split; m = 0 where there is none.
        test_is_outlier: bool [m].
        test_in_training: int64, rows of test images whose pixels are those of a training image.
        normal_class: index of the normal class.
        fingerprint: SHA-256 (hex) of the data and of which rows were taken.
        labelled: for probes; None if none were asked for.
        held_out: to select by; None if none was asked for.
    """

    train_images: npt.NDArray[np.uint8]
    is_pollution: npt.NDArray[np.bool_]
    train_indices: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_is_outlier: npt.NDArray[np.bool_]
    test_in_training: npt.NDArray[np.int64]
    normal_class: int
    fingerprint: str
    labelled: Labelled | None = None
    held_out: HeldOut | None = None


def one_class_split(
    train: ImageSet,
    test: ImageSet | None,
    normal_class: int | str,
    pollution: float = 0.0,
    seed: int = 0,
    probe_images: int = 0,
    held_out: float = 0.0,
    *,
    without_outliers: bool = False,
) -> OneClassSplit:
    """All normals of the training split plus p/(1-p)·n of its other images.

    ``pollution`` p in [0, 0.5] is the outliers' share of the final training set (as in the code
    of LOE and Deep SAD). Outliers are drawn uniformly from the other classes of the *training*
    split, never from the test split, and for one seed the outliers at a smaller p are a subset of
    those at a larger one.

    ``probe_images`` labelled images of all classes, or all there are, come along for probes.
    ``held_out`` withholds this share of the normals from training, in [0, 0.5], with as many images
    of other classes, none of them pollution (the validation split of DROC's code).

    A data set may have no test split (None), and ``without_outliers`` allows one of normals alone:
    trainings on it have the signals of the training split, and nothing is ranked.

    Raises:
        InputError: an unknown class, a share out of range, sets that do not match, too few images,
            or more than 1 % of the test images among those trained on.
    """
    if test is not None:
        train, test = matched(train, test)
    normal = class_index(train, normal_class)
    count, withheld = shares(train, test, normal, pollution, held_out, probe_images)
    normals = np.flatnonzero(train.labels == normal)
    others = np.flatnonzero(train.labels != normal)
    test_images, test_is_outlier = _tested(train, test, normal, without_outliers)
    stream = np.random.default_rng(derive_seed(seed, "pollution", normal))
    order = stream.permutation(others)  # one permutation a seed: nested in p
    taken, pseudo_outliers = order[:count], order[len(order) - withheld :]
    lots = np.random.default_rng(derive_seed(seed, "held-out", normal)).permutation(normals)
    aside, normals = np.sort(lots[:withheld]), np.sort(lots[withheld:])
    indices = np.concatenate([normals, taken]).astype(np.int64)
    tested = test.fingerprint if test is not None else "none"
    digest = hashlib.sha256(f"{train.fingerprint} {tested} {normal}".encode())
    digest.update(indices.data)
    return OneClassSplit(
        train_images=train.images[indices],
        is_pollution=np.arange(len(indices)) >= len(normals),
        train_indices=indices,
        test_images=test_images,
        test_is_outlier=test_is_outlier,
        test_in_training=seen_in_training(train.images[indices], test_images),
        normal_class=normal,
        fingerprint=digest.hexdigest(),
        labelled=_labelled(train, test, probe_images, seed) if probe_images and test else None,
        held_out=_held_out(train, aside, pseudo_outliers) if withheld else None,
    )


def _tested(
    train: ImageSet, test: ImageSet | None, normal: int, without_outliers: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The test images and their flags, neither where there is no test split."""
    if test is None:
        return np.asarray(train.images[:0]), np.zeros(0, dtype=np.bool_)
    outlier = test.labels != normal
    if outlier.all() or not (outlier.any() or without_outliers):
        name = train.class_names[normal]
        others = "" if without_outliers else " and of others"
        raise InputError(f"the test split needs images of class {name!r}{others}")
    return np.asarray(test.images), outlier


def _held_out(
    train: ImageSet, normals: npt.NDArray[np.int64], outliers: npt.NDArray[np.int64]
) -> HeldOut:
    rows = np.concatenate([normals, outliers])
    return HeldOut(train.images[rows], np.arange(len(rows)) >= len(normals))


def _labelled(train: ImageSet, test: ImageSet, count: int, seed: int) -> Labelled:
    order = np.random.default_rng(derive_seed(seed, "probe")).permutation(len(train.labels))
    rows = np.sort(order[:count])
    return Labelled(train.images[rows], train.labels[rows], test.labels)


def class_index(image_set: ImageSet, normal_class: int | str) -> int:
    """The index of a class given by its name or its index."""
    names = image_set.class_names
    if isinstance(normal_class, str) and same_spelling(normal_class) in names:
        return names.index(same_spelling(normal_class))
    try:
        index = int(normal_class)
    except ValueError:
        raise unknown("class", normal_class, names) from None
    if not 0 <= index < len(names):
        raise InputError(
            f"class {normal_class} is out of range; the data set has {len(names)} classes, "
            f"0 to {len(names) - 1}: {', '.join(names)}"
        )
    return index
