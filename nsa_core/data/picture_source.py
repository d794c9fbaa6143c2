"""Pictures that were found and not read yet, whatever holds them."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nsa_core.data.decode import ImageError

MOST_BYTES = 2**29
"""Of an image file."""

Encoded = Callable[[], bytes]
"""Reads the bytes of one image; raises an OSError or an ImageError."""


@dataclass(frozen=True, eq=False)
class Found:
    """Images in their order, to be read one after another.

    Attributes:
        where: what holds them, for messages.
        names: N names, each once.
        labels: N names of classes; None unless every image has one.
        class_names: the classes of the whole source, whatever split was asked for.
        encoded: starts to read them from the first.
    """

    where: str
    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    class_names: tuple[str, ...]
    encoded: Callable[[], Iterator[Encoded]]


def kind_of(path: Path) -> str:
    """What a path leads to: "folder", "file", "device" (or a socket, a pipe), or "nothing"."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # also of what cannot be a path
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device"


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: more than ``MOST_BYTES``.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MOST_BYTES:
            raise ImageError(f"it has {size} bytes; need at most {MOST_BYTES}")
        return stream.read(size)


def refused(reason: str) -> bytes:
    """Stands for an image that is not to be read.

    Raises:
        ImageError: always, for the reason.
    """
    raise ImageError(reason)


def valid_text(name: str) -> str:
    """The name with what is no UTF-8 in it written as ``\\\\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
