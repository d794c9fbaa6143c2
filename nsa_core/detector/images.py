"""What a person hands to a detector: paths, pictures or arrays, as one kind of thing."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError

BATCH = 512

_NEED = "need uint8 [N, H, W] or [N, H, W, 3] with values from 0 to 255"


@dataclass(frozen=True, eq=False)
class Given:
    """Images and what they are called; a ``Pictures`` has the same.

    Attributes:
        images: uint8 [N, C, H, W], C 1 or 3; may be a read-only memory map.
        names: [N].
        fingerprint: SHA-256 (hex) of the pixels and names.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    fingerprint: str


def given(source: Any, **reading: Any) -> Any:
    """All images of a source at once.

    Args:
        source: path or paths of folders and Parquet files; ``Pictures``; or uint8 [N, H, W] or
            [N, H, W, 3].
        reading: how files are read, as ``read_pictures`` takes it.

    Raises:
        InputError: none of these, or no image.
    """
    if is_paths(source):
        from nsa_core.data.pictures import read_pictures

        return read_pictures(source, **reading)
    if hasattr(source, "images") and hasattr(source, "fingerprint"):
        return source
    return _of_array(source)


def batches(source: Any, **reading: Any) -> Iterator[npt.NDArray[np.uint8]]:
    """The images of a source, uint8 [B, C, H, W], a few hundred at a time; files are read as they
    are asked for.
    """
    if is_paths(source):
        from nsa_core.data.pictures import picture_batches

        for found in picture_batches(source, **reading):
            yield found.images
        return
    images = given(source).images
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH]


def is_paths(source: Any) -> bool:
    """Is it a path, or a sequence of them?"""
    if isinstance(source, str | Path):
        return True
    is_list = isinstance(source, Sequence) and len(source) > 0
    return is_list and all(isinstance(each, str | Path) for each in source)


def _of_array(source: Any) -> Given:
    try:
        images = np.asarray(source)
    except ValueError as error:
        raise InputError(f"images are of several sizes; {_NEED}") from error
    shape = list(images.shape)
    if images.dtype != np.uint8:
        hint = "; of numbers in [0, 1]: (255 * images).round().astype('uint8')"
        is_real = images.dtype.kind == "f"
        raise InputError(f"images are {images.dtype} {shape}; {_NEED}{hint * is_real}")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise InputError(f"images are {images.dtype} {shape}; {_NEED}")
    if 0 in shape:
        raise InputError(f"images are {images.dtype} {shape}; there is nothing in them")
    first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    whole = np.ascontiguousarray(first)
    digest = hashlib.sha256(repr(whole.shape).encode())
    digest.update(whole.data)
    return Given(whole, tuple(map(str, range(len(whole)))), digest.hexdigest())
