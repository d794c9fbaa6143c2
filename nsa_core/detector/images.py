"""What a person hands to a detector: paths, pictures or arrays, as one kind of thing."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nsa_core.data.pictures import picture_batches, read_pictures
from nsa_core.data.resize import resized
from nsa_core.errors import InputError

BATCH = 512

Images = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]

_NEED = "need uint8 [N, H, W] or [N, H, W, 3] with values from 0 to 255"


class Named(Protocol):
    """Images and what they are called, as ``Pictures`` has them.

    Attributes:
        images: uint8 [N, C, H, W], C 1 or 3; may be a read-only memory map.
        names: [N].
        fingerprint: SHA-256 (hex) of the pixels and names.
    """

    @property
    def images(self) -> Images: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Given:
    """The same of images that come from no file."""

    images: Images
    names: tuple[str, ...]
    fingerprint: str


def given(source: Any, **reading: Any) -> Named:
    """All images of a source at once.

    Args:
        source: path or paths, as ``read_pictures`` takes them; ``Pictures``; or uint8 [N, H, W] or
            [N, H, W, 3].
        reading: size, resize, on_broken and channels, as ``read_pictures`` takes them.

    Raises:
        InputError: none of these, or as ``read_pictures`` does.
    """
    if is_paths(source):
        return read_pictures(source, **reading)
    if hasattr(source, "images") and hasattr(source, "fingerprint"):
        named: Named = source
        return named
    images = _of_array(source, **reading)
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(images.data)
    return Given(images, tuple(map(str, range(len(images)))), digest.hexdigest())


def some(pictures: Named, rows: npt.NDArray[np.int64]) -> Given:
    """The images of these rows."""
    names = tuple(pictures.names[row] for row in rows)
    digest = hashlib.sha256(pictures.fingerprint.encode())
    digest.update(np.ascontiguousarray(rows).data)
    return Given(pictures.images[rows], names, digest.hexdigest())


def batches(source: Any, shape: Shape, **reading: Any) -> Iterator[Images]:
    """The images of a source, uint8 [B, C, H, W], a few hundred at a time; files are read as they
    are asked for.

    Args:
        source: see ``given``.
        shape: (C, H, W) that they must have, or get.
        reading: resize and on_broken.

    Raises:
        InputError: as ``given``, or images of another shape.
    """
    channels, *size = shape
    for images in _parts(source, size=tuple(size), channels=channels, **reading):
        if (found := shape_of(images)) != shape:
            raise InputError(
                f"images are {_words(found)}, and the detector was fit on {_words(shape)}; give it "
                "those, or fit it with a resize policy (stretch, crop or pad) for any size"
            )
        yield images


def _parts(source: Any, **reading: Any) -> Iterator[Images]:
    if is_paths(source):
        yield from (found.images for found in picture_batches(source, **reading))
        return
    images = source.images if hasattr(source, "images") else _of_array(source, **reading)
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH]


def _words(shape: Shape) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'colour'} {height}x{width}"


def is_paths(source: Any) -> bool:
    """Is it a path, or a list of them?"""
    if isinstance(source, str | Path):
        return True
    is_list = isinstance(source, Sequence) and len(source) > 0
    return is_list and all(isinstance(each, str | Path) for each in source)


def shape_of(images: Images) -> Shape:
    """(C, H, W) of images [N, C, H, W]."""
    _, channels, height, width = images.shape
    return channels, height, width


def _of_array(
    source: Any, size: tuple[int, int] | None = None, resize: str = "refuse", **_: Any
) -> Images:
    """[N, C, H, W] of [N, H, W] or [N, H, W, C]; of another size if a policy says how."""
    try:
        images = np.asarray(source)
    except ValueError as error:
        raise InputError(f"images are arrays of several shapes; {_NEED}") from error
    said = f"images are {images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8:
        is_real = images.dtype.kind == "f"
        hint = " (of numbers in [0, 1]: (255 * images).round().astype('uint8'))" * is_real
        raise InputError(f"{said}; {_NEED}{hint}")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise InputError(f"{said}; {_NEED}")
    if 0 in images.shape:
        raise InputError(f"{said}, so there are none; need at least one")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if size is not None and resize != "refuse" and images.shape[1:3] != size:
        images = np.stack([resized(each, size, resize) for each in images])
    channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels_first)
