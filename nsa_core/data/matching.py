"""Do a training and a test split belong together, and are they apart?"""

import hashlib
import logging

import numpy as np
import numpy.typing as npt

from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

_MAX_REPEATED = 0.01  # CIFAR-100 as published has a few in a thousand
_LOG = logging.getLogger(__name__)


def matched(train: ImageSet, test: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The two splits of one data set, with the channels and the classes of both.

    A grey split beside one in colour is repeated over three channels; a split that lacks the last
    classes has none of their images.

    Raises:
        InputError: they are not two splits of one data set.
    """
    if train.fingerprint == test.fingerprint:
        raise InputError(
            "training and test split are the same images; a detector would be tested on what it "
            "was trained on"
        )
    shapes = [each.images.shape[2:] for each in (train, test)]
    names = max(train.class_names, test.class_names, key=len)
    for each in (train, test):
        if shapes[0] != shapes[1] or each.class_names != names[: len(each.class_names)]:
            raise InputError(
                f"training and test split do not match: {train.images.shape[1:]} and classes "
                f"{_listed(train)} against {test.images.shape[1:]} and {_listed(test)}"
            )
    channels = max(train.images.shape[1], test.images.shape[1])
    return _as(train, channels, names), _as(test, channels, names)


def _as(images: ImageSet, channels: int, names: tuple[str, ...]) -> ImageSet:
    """The same set under the same fingerprint, which names its source."""
    if images.images.shape[1] == channels and images.class_names == names:
        return images
    pixels = np.broadcast_to(images.images, (len(images), channels, *images.images.shape[2:]))
    return ImageSet(pixels, images.labels, names, images.fingerprint)


def _listed(images: ImageSet) -> str:
    return ", ".join(images.class_names[:12]) + ", ..." * (len(images.class_names) > 12)


def seen_in_training(
    train: npt.NDArray[np.uint8], test: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Rows of test images whose pixels are those of a training image.

    Raises:
        InputError: they are more than 1 % of the test images.
    """
    known = set(map(_digest, train))
    rows = [row for row, image in enumerate(test) if _digest(image) in known]
    if len(rows) > _MAX_REPEATED * len(test):
        raise InputError(
            f"{len(rows)} of {len(test)} test images are among the training images, pixel for "
            f"pixel (the first is test image {rows[0]}); need at most 1 %"
        )
    if rows:
        _LOG.warning("%d of %d test images are among the training images", len(rows), len(test))
    return np.array(rows, dtype=np.int64)


def _digest(image: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data).digest()
