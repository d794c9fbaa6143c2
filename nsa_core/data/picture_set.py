"""Pictures of a person as a labelled data set, with how they get their size in its name."""

import hashlib
import re
from pathlib import Path

import numpy as np

from nsa_core.data.class_names import checked_names
from nsa_core.data.image_parquet import is_image_parquet
from nsa_core.data.image_set import ImageSet
from nsa_core.data.picture_search import picture_splits
from nsa_core.data.picture_source import kind_of
from nsa_core.data.pictures import read_pictures
from nsa_core.errors import InputError, unknown

ONLY_CLASS = "normal"
"""What the images of a folder without classes are, if it has no test."""

_OPTIONS = ("size", "resize", "on_broken")
_SIZE = re.compile(r"(\d{1,9})(?:x(\d{1,9}))?")


def is_picture_set(name: str, root: Path | None) -> bool:
    """Whether a data set's name is a folder, or a Parquet file with options behind it."""
    path, options = _parts(name, root)
    if options and is_image_parquet(path):
        return True
    return kind_of((root or Path()) / path) == "folder"


def picture_set(name: str, split: str, root: Path | None) -> ImageSet:
    """The labelled images of a folder or of Parquet files.

    ``name`` is a path, relative to ``root`` if given, optionally followed by options as an address
    has them: ``tiles?size=96&resize=pad&on_broken=skip`` (see ``read_pictures``; a size may be
    ``HEIGHTxWIDTH``). ``split="all"`` takes all. A folder without classes and without a test has
    one class, ``ONLY_CLASS``.

    Raises:
        InputError: as ``read_pictures``, an unknown option, or images without a class.
    """
    if not name.isprintable():
        raise InputError(f"data set {name!r} has unprintable characters; rename the folder")
    path, options = _parts(name, root)
    if unknowns := sorted(options.keys() - set(_OPTIONS)):
        raise unknown(f"option of data set {name!r}", unknowns[0], _OPTIONS)
    found = read_pictures(
        str((root or Path()) / path),
        split=None if split == "all" else split,
        size=_size(name, options["size"]) if "size" in options else None,
        resize=options.get("resize", "refuse"),
        on_broken=options.get("on_broken", "refuse"),
    )
    names, of_images = found.class_names, found.labels
    if of_images is None:
        if not _is_for_training_alone((root or Path()) / path):
            raise InputError(
                f"{path}: {found.names[0]} has no class; a study with a test needs "
                f"{split}/CLASS/... in a folder, or a column 'label'"
            )
        names, of_images = (ONLY_CLASS,), (ONLY_CLASS,) * len(found.names)
    classes = checked_names(path, names, len(names), "class folder")
    numbers = {each: number for number, each in enumerate(classes)}
    labels = np.array([numbers[each] for each in of_images], dtype=np.int64)
    digest = hashlib.sha256(repr((found.fingerprint, classes)).encode())
    digest.update(labels.data)
    return ImageSet(found.images, labels, classes, digest.hexdigest())


def _parts(name: str, root: Path | None) -> tuple[str, dict[str, str]]:
    """The path, which may have a ``?`` itself, and the options."""
    path, mark, options = name.rpartition("?")
    if not mark or kind_of((root or Path()) / name) == "folder":
        return name, {}
    pairs = [each.partition("=") for each in options.split("&")]
    return path, {key: value for key, _, value in pairs}


def _is_for_training_alone(path: Path) -> bool:
    return kind_of(path) == "folder" and set(picture_splits(path)) <= {"train"}


def _size(name: str, text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if not found:
        raise InputError(f"size of data set {name!r} is {text!r}; need 96 or 96x128, for instance")
    return int(found[1]), int(found[2] or found[1])
