"""A split that a training takes seconds for."""

import dataclasses

from nsa_core import OneClassSplit, one_class_split


def small_split(digits, train: int, test: int) -> OneClassSplit:
    """The digit 0 as normal, of the first so many training and test images."""
    whole = one_class_split(*digits, 0)
    return dataclasses.replace(
        whole,
        train_images=whole.train_images[:train],
        test_images=whole.test_images[:test],
        test_is_outlier=whole.test_is_outlier[:test],
    )
