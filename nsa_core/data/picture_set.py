"""Pictures of a person as a labelled data set, with how they get their size in its name."""

import hashlib
import re
from pathlib import Path

import numpy as np

from nsa_core.data.class_names import checked_names
from nsa_core.data.image_parquet import is_image_parquet
from nsa_core.data.image_set import ImageSet
from nsa_core.data.picture_source import kind_of
from nsa_core.data.pictures import read_pictures
from nsa_core.errors import InputError, unknown

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
    ``HEIGHTxWIDTH``). ``split="all"`` takes all.

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
    if found.labels is None:
        raise InputError(
            f"{path}: {found.names[0]} has no class; a study needs {split}/CLASS/... in a folder, "
            "or a column 'label'"
        )
    classes = checked_names(path, found.class_names, len(found.class_names), "class folder")
    numbers = {each: number for number, each in enumerate(classes)}
    labels = np.array([numbers[each] for each in found.labels], dtype=np.int64)
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


def _size(name: str, text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if not found:
        raise InputError(f"size of data set {name!r} is {text!r}; need 96 or 96x128, for instance")
    return int(found[1]), int(found[2] or found[1])
