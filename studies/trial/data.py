"""Data of a trial, loaded and fingerprinted the same way by driver and worker."""

import socket
import threading
from dataclasses import dataclass
from functools import cache

import numpy as np

from nsa_core import ImageSet, InputError, OneClassSplit, TrialConfig, load_splits, one_class_split

_loading = threading.Lock()


@dataclass(frozen=True)
class Data:
    """Identity of a data set.

    Attributes:
        fingerprint: identifies training and test split together.
        class_names: of the data set.
        absent: which numbers a trial on it cannot have, and why, in words; empty if it has all.
    """

    fingerprint: str
    class_names: tuple[str, ...]
    absent: str = ""


def data_of(train: ImageSet, test: ImageSet | None) -> Data:
    """Of a data set's two splits, or of its training split where it has no other."""
    if test is None:
        return Data(train.fingerprint, train.class_names, absent(0))
    alike = len(np.unique(test.labels)) == 1
    return Data(
        f"{train.fingerprint}+{test.fingerprint}",
        train.class_names,
        absent(len(test)) if alike else "",
    )


def absent(test_images: int) -> str:
    """What trials lack that are tested on so many images, none of which is an outlier, and why."""
    why = f"all {test_images} test images are of one class"
    if not test_images:
        why = "the data set has no test split"
    return f"no test outliers ({why}): AUROC, AUPRC and FPR95 are absent"


def images_of(dataset: str, data_root: str | None) -> tuple[ImageSet, ImageSet | None]:
    """The splits of a data set, read-only; loaded once a process, whoever asks first."""
    with _loading:
        return _loaded(dataset, data_root)


@cache  # the fingerprint says whether it is what was planned
def _loaded(dataset: str, data_root: str | None) -> tuple[ImageSet, ImageSet | None]:
    splits = load_splits(dataset, data_root)
    for each in splits:
        if each is not None:
            each.images.setflags(write=False)
    return splits


def split_of(
    config: TrialConfig, data_root: str | None, fingerprint: str | None = None
) -> OneClassSplit:
    """A configuration's data.

    Raises:
        InputError: it is absent, or is not the data of this fingerprint.
    """
    train_set, test_set = images_of(config.dataset, data_root)
    found = data_of(train_set, test_set).fingerprint
    if fingerprint not in (None, found):
        raise InputError(
            f"{config.dataset} on {socket.gethostname()} is not the data that the study was "
            f"planned on (fingerprint {found[:12]}, planned {str(fingerprint)[:12]})"
        )
    return one_class_split(
        train_set,
        test_set,
        config.normal_class,
        config.pollution,
        config.seed,
        config.probe_images,
        config.held_out,
        without_outliers=True,  # the plan has said so
    )
