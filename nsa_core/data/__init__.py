"""Data sources by name, and the one-class protocol."""

from functools import partial
from pathlib import Path
from typing import Protocol

from nsa_core.data.cifar10 import cifar10
from nsa_core.data.cifar100 import cifar100
from nsa_core.data.digits import digits
from nsa_core.data.fashion_mnist import fashion_mnist
from nsa_core.data.image_parquet import image_parquet, is_image_parquet
from nsa_core.data.image_set import ImageSet, same_spelling
from nsa_core.data.matching import matched
from nsa_core.data.one_class import (
    MAX_HELD_OUT,
    MAX_POLLUTION,
    HeldOut,
    Labelled,
    OneClassSplit,
    class_index,
    one_class_split,
)
from nsa_core.data.picture_search import picture_splits
from nsa_core.data.picture_set import is_picture_set, picture_set
from nsa_core.data.pictures import Pictures, picture_batches, read_pictures
from nsa_core.data.svhn import svhn
from nsa_core.errors import InputError, unknown

__all__ = [
    "MAX_HELD_OUT",
    "MAX_POLLUTION",
    "HeldOut",
    "ImageSet",
    "Labelled",
    "OneClassSplit",
    "Pictures",
    "available",
    "class_index",
    "load_images",
    "load_splits",
    "one_class_split",
    "picture_batches",
    "picture_splits",
    "read_pictures",
    "same_spelling",
]


class Source(Protocol):
    """Loads a split, "train" or "test"; ``root`` is the folder that holds the files."""

    def __call__(self, split: str, root: Path | None) -> ImageSet: ...


_SOURCES: dict[str, Source] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "digits": digits,
    "fashion-mnist": fashion_mnist,
    "svhn": svhn,
}


def available() -> list[str]:
    """Names that ``load_images`` knows, beside paths of folders and of Parquet files."""
    return sorted(_SOURCES)


def load_images(name: str, split: str, root: str | Path | None = None) -> ImageSet:
    """Load a data set by name, or images by their path. Nothing is downloaded.

    Args:
        name: one of ``available()``, or a path that ends in ``.parquet`` (optionally
            ``.parquet#label_column``; ``{split}`` in it stands for the split), or the path of a
            folder. Behind a path, ``?size=96&resize=pad`` gives images of any size one size.
        split: "train" or "test" ("all" too for a path).
        root: folder that holds the files; each source has a default.

    Raises:
        InputError: an unknown name or split, or a file that is missing, truncated or wrong.
    """
    folder = Path(root) if root is not None else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"data folder {str(folder)!r} does not exist")
    source = _source(name, folder)
    splits = ["train", "test"] if name in _SOURCES else ["train", "test", "all"]
    if split not in splits:
        raise unknown("split", split, splits)
    return source(split, folder)


def _source(name: str, root: Path | None) -> Source:
    """A named set before a folder of that name, which can be given as ``./NAME``."""
    if name in _SOURCES:
        return _SOURCES[name]
    if is_picture_set(name, root):
        return partial(picture_set, name)
    if is_image_parquet(name):
        return partial(image_parquet, name)
    raise unknown("data set", name, [*_SOURCES, "PATH.parquet", "FOLDER"])


def load_splits(name: str, root: str | Path | None = None) -> tuple[ImageSet, ImageSet]:
    """The training and the test split of a data set, both with its channels and its classes.

    Raises:
        InputError: as ``load_images``, or the two are not two splits of one data set.
    """
    return matched(load_images(name, "train", root), load_images(name, "test", root))
