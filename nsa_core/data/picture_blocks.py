"""Decoded pictures of one shape, a block at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from nsa_core.data.decode import ImageError, decode_image
from nsa_core.data.picture_source import Encoded, Found
from nsa_core.data.picture_survey import PHOTOGRAPH_PIXELS, Shape, Wanted, in_order, refuse_broken
from nsa_core.data.resize import resized
from nsa_core.errors import InputError

_MOST_BYTES = 2**26  # of a block, unless one image has more


@dataclass
class Block:
    """Images that follow one another.

    Attributes:
        images: uint8 [n, C, H, W], n of at least 1.
        rows: their n places among all that were found.
        broken: places and reasons of those that were left out between them.
    """

    images: npt.NDArray[np.uint8]
    rows: list[int] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def cut(self) -> "Block":
        """The same, of as many images as it has rows."""
        return Block(self.images[: len(self.rows)], self.rows, self.broken)


def blocks(found: Found, shape: Shape, wanted: Wanted, most: int) -> Iterator[Block]:
    """All images in blocks of at most ``most``, fewer if they are large.

    Raises:
        InputError: broken images (or too many, if they are to be skipped), or one of another size
            without a policy.
    """
    count = max(1, min(most, _MOST_BYTES // math.prod(shape)))
    block = Block(np.empty((count, *shape), np.uint8))
    broken: list[tuple[str, str]] = []
    decoded = in_order(partial(_pixels, shape=shape, resize=wanted.resize), found.encoded())
    for row, (name, pixels) in enumerate(zip(found.names, decoded, strict=True)):
        if isinstance(pixels, str):
            broken.append((name, pixels))
            if wanted.on_broken == "skip":
                refuse_broken(found, broken, wanted)
            block.broken.append((row, pixels))
            continue
        if broken and wanted.on_broken == "refuse":
            continue  # the others are read to be named
        if pixels.shape != shape:
            high, wide = pixels.shape[1:]
            raise InputError(
                f"{found.where}: {name} is {high}x{wide}, not {shape[1]}x{shape[2]}; need "
                "a resize policy: stretch, crop or pad (--resize of nsa fit)"
            )
        if len(block.rows) == count:
            yield block
            block = Block(np.empty((count, *shape), np.uint8))
        block.images[len(block.rows)] = pixels
        block.rows.append(row)
    refuse_broken(found, broken, wanted)
    yield block.cut()


def _pixels(encoded: Encoded, shape: Shape, resize: str) -> npt.NDArray[np.uint8] | str:
    """An image [C, H, W], or why it cannot be read."""
    size = shape[1:]
    fitted = resize != "refuse"
    try:
        pixels = decode_image(encoded(), PHOTOGRAPH_PIXELS, at_least=size if fitted else None)
    except (ImageError, OSError) as error:
        return str(error)
    pixels = resized(pixels, size, resize) if fitted else pixels
    if shape[0] == 1 and pixels.ndim == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    if pixels.ndim == 2:
        return np.broadcast_to(pixels, (shape[0], *pixels.shape))
    return pixels.transpose(2, 0, 1)
