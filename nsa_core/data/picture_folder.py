"""Which files of a folder are its images, and what their folders say.

An image is a file whose name ends as one of ``READ``, in either case, wherever it lies below the
folder. Passed over are all others, and names that begin with a dot. An image of a format that is
not read, a link that leads out of the folder and a link to a folder count as broken images.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from nsa_core.data.decode import FORMATS
from nsa_core.data.image_set import same_spelling
from nsa_core.data.parquet_split import SPLITS
from nsa_core.data.picture_source import Encoded, Found, read_file, refused, valid_text
from nsa_core.errors import InputError, unknown

READ = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif")
)
_NOT_READ = frozenset(
    (".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jxl", ".pbm", ".pgm", ".ppm", ".pnm")
)
_LISTED = READ | _NOT_READ | {".parquet"}


@dataclass(frozen=True, slots=True)
class Listed:
    """An image, or a Parquet file, of a folder.

    Attributes:
        parts: its place below the folder, its own name last.
        path: its path.
        reason: why it is not to be read, if it is not.
    """

    parts: tuple[str, ...]
    path: Path
    reason: str = ""

    @property
    def is_parquet(self) -> bool:
        """Whether its name says that it is a Parquet file."""
        return self.parts[-1].lower().endswith(".parquet")

    @property
    def split(self) -> str:
        """The split that its top folder is named after, if it is."""
        top = self.parts[0].lower() if len(self.parts) > 1 else ""
        return top if top in SPLITS else ""

    def read(self) -> Encoded:
        """Reads it, or refuses to."""
        return partial(refused, self.reason) if self.reason else partial(read_file, self.path)


def listed(folder: Path) -> list[Listed]:
    """Images and Parquet files of a folder, sorted by their place.

    Raises:
        InputError: there are none, or a folder cannot be read.
    """
    others: list[str] = []
    found = sorted(_walk(folder, others), key=lambda each: each.parts)
    if not found:
        passed = f"; passed over {len(others)} files, such as {others[0]!r}" if others else ""
        raise InputError(
            f"folder {str(folder)!r} holds no image (names that end in "
            f"{', '.join(sorted(READ))}) and no Parquet file{passed}"
        )
    return found


def split_of(found: list[Listed], split: str | None, where: str) -> tuple[list[Listed], bool]:
    """What belongs to a split, or to any, and whether top folders are splits at all.

    They are if there is a ``train`` and a ``test``, or nothing but names of splits; then what lies
    outside of them (masks, a read-me's pictures) is no part of the data.
    """
    tops = {each.parts[0].lower() for each in found if len(each.parts) > 1}
    splits = tops & set(SPLITS)
    if not ({"train", "test"} <= splits or (splits and splits == tops)):
        if split is not None:
            raise InputError(
                f"folder {where!r} is not divided into train/ and test/, so nothing in it is "
                f"split {split!r}"
            )
        return found, False
    if split is not None and split not in splits:
        raise unknown(f"split of folder {where!r}", split, splits)
    return [each for each in found if each.split and split in (None, each.split)], True


def folder_pictures(folder: Path, found: list[Listed], split: str | None) -> Found:
    """The images of a folder; of ``CLASS/...`` or ``SPLIT/CLASS/...`` the class is the label."""
    images, in_splits = split_of(found, split, str(folder))
    labels = [_label(each, in_splits) for each in images]
    every = [_label(each, in_splits) for each in split_of(found, None, str(folder))[0]]
    return Found(
        where=str(folder),
        names=tuple(valid_text("/".join(each.parts)) for each in images),
        labels=tuple(filter(None, labels)) if all(labels) else None,
        class_names=tuple(sorted(set(filter(None, every)))),
        encoded=lambda: (each.read() for each in images),
    )


def _label(image: Listed, in_splits: bool) -> str:
    folders = image.parts[int(in_splits) : -1]
    return same_spelling(valid_text(folders[0])) if folders else ""


def _walk(top: Path, others: list[str]) -> Iterator[Listed]:
    root = top.resolve()
    left: list[tuple[tuple[str, ...], Path]] = [((), top)]
    while left:
        parts, folder = left.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise InputError(f"folder {str(folder)!r} cannot be read ({error.strerror})") from error
        for entry in entries:
            place, path = (*parts, entry.name), Path(entry.path)
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                left.append((place, path))
            elif entry.is_symlink() and path.is_dir():
                yield Listed((*place, ""), path, _why_not(path, root) or "a link to a folder")
            elif PurePosixPath(entry.name).suffix.lower() in _LISTED:
                yield Listed(place, path, _why_not(path, root))
            else:
                others.append("/".join(place))


def _why_not(path: Path, root: Path) -> str:
    """Why a file is not to be read; empty if it is."""
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return "a link that leads out of the folder"
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if path.suffix.lower() in _NOT_READ:
        return f"{path.suffix} is not read; need {', '.join(FORMATS)}"
    return "" if path.is_file() or path.is_dir() else "no regular file"
