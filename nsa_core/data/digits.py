"""The handwritten digits that scikit-learn ships: 1,797 grey images, real, no download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from nsa_core.data.image_set import ImageSet

_TRAIN_SHARE = 0.7


def digits(split: str, root: Path | None) -> ImageSet:
    """8x8 digits doubled to 16x16, split 70/30 by a fixed permutation (no official split)."""
    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # stored as 0..16
    images = grey.repeat(2, axis=1).repeat(2, axis=2)[:, None]
    order = np.random.RandomState(0).permutation(len(images))  # this stream is frozen for good
    cut = int(_TRAIN_SHARE * len(images))
    rows = order[:cut] if split == "train" else order[cut:]
    labels = bunch.target[rows].astype(np.int64)
    return ImageSet(images[rows], labels, tuple(str(digit) for digit in range(10)))
