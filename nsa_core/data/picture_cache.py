"""Decoded pictures in the cache: written a block at a time, memory-mapped when they are whole."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.data.cache import cache_root, plain, usable
from nsa_core.data.picture_blocks import Block
from nsa_core.data.picture_source import Found
from nsa_core.data.picture_survey import Shape
from nsa_core.errors import InputError

VERSION = 1  # raise it when decoding changes, so that older entries are not used
_PIECE = 2**20


@dataclass(frozen=True, eq=False)
class Kept:
    """An entry of the cache.

    Attributes:
        images: uint8 [N, C, H, W], a read-only memory map.
        broken: places and reasons of the images that were left out.
        fingerprint: as ``Pictures`` has it.
    """

    images: npt.NDArray[np.uint8]
    broken: tuple[tuple[int, str], ...]
    fingerprint: str


def kept(key: str, found: Found, shape: Shape, decode: Callable[[], Iterator[Block]]) -> Kept:
    """The entry of a key (a digest of all that it depends on), decoded now if it is not there.

    Raises:
        InputError: the cache cannot be read or written, or there is no space for it.
    """
    entry = cache_root() / f"pictures-{key[:32]}"
    with usable(entry.parent):
        there = _read(entry, found, shape)
    if there is None:
        with usable(entry.parent):
            entry.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
        try:
            _write(partial, found, shape, decode)
            with usable(entry.parent):
                _place(partial, entry, found, shape)
                there = _read(entry, found, shape)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        assert there is not None
    return there


def fingerprint_of(shape: Shape, pixels: Iterable[Any], names: Iterable[str]) -> str:
    """SHA-256 (hex) of the shape of an image, the pixels of all and their names."""
    digest = hashlib.sha256(repr(shape).encode())
    for piece in pixels:
        digest.update(piece)
    for name in names:
        digest.update(b"\0" + name.encode())
    return digest.hexdigest()


def _write(folder: Path, found: Found, shape: Shape, decode: Callable[[], Iterator[Block]]) -> None:
    needed = len(found.names) * math.prod(shape)
    with usable(folder.parent):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{found.where}: {len(found.names)} images of {shape[1]}x{shape[2]} take "
            f"{needed / 2**30:.1f} GB decoded, {folder.parent} has {free / 2**30:.1f} GB; set "
            "NSA_CACHE to a folder with more, or ask for a smaller size"
        )
    broken: list[tuple[int, str]] = []
    for block in decode():
        broken += block.broken
        with usable(folder.parent), (folder / "pixels").open("ab") as stream:
            stream.write(block.images.data)
    names = _names(found, broken)
    with usable(folder.parent):
        fingerprint = fingerprint_of(shape, _pieces(folder / "pixels"), names)
        meta = {"broken": broken, "fingerprint": fingerprint}
        (folder / "meta.json").write_text(json.dumps(meta))
        for path in folder.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _place(partial: Path, entry: Path, found: Found, shape: Shape) -> None:
    if _read(entry, found, shape) is None:  # another process may have been faster
        shutil.rmtree(entry, ignore_errors=True)
        try:
            partial.rename(entry)
        except OSError:
            if _read(entry, found, shape) is None:
                raise


def _read(entry: Path, found: Found, shape: Shape) -> Kept | None:
    """What an entry has; None if it is absent or damaged. Its pixels are compared without the map,
    which would count as memory of this process.
    """
    if not plain(entry / "meta.json", entry / "pixels"):
        return None
    try:
        meta = json.loads((entry / "meta.json").read_text())
        broken = tuple((int(row), str(reason)) for row, reason in meta["broken"])
        names = _names(found, broken)
        if meta["fingerprint"] != fingerprint_of(shape, _pieces(entry / "pixels"), names):
            return None
        images = np.memmap(entry / "pixels", np.uint8, "r", shape=(len(names), *shape))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return Kept(images, broken, meta["fingerprint"])


def _names(found: Found, broken: Any) -> list[str]:
    rows = {row for row, _ in broken}
    return [name for row, name in enumerate(found.names) if row not in rows]


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece
