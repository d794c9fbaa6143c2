"""Images of a page as PNG: no larger than a page shows them, and with heat beside them."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 160
"""Pixels of a tile's longer side, at most; smaller images are enlarged pixel for pixel."""

_GAP = 4
_OVER = 0.6  # how much of a colour covers the image where it is hottest

Pixels = npt.NDArray[np.uint8]


def tile(image: Pixels) -> bytes:
    """A PNG of a uint8 image [C, H, W]."""
    return _png(_fitted(_as_rgb(image)))


def pair(image: Pixels, heat: npt.NDArray[np.float32], span: tuple[float, float]) -> bytes:
    """A PNG of a uint8 image [C, H, W], and beside it the same with its heat [H, W] over it.

    Args:
        span: the heat that begins to show, and the heat of the strongest colour.
    """
    left, hot = _fitted(_as_rgb(image)), _fitted(_as_rgb(_heated(image, heat, span)))
    paper = Image.new("RGBA", (left.width + _GAP + hot.width, left.height), (0, 0, 0, 0))
    paper.paste(left, (0, 0))
    paper.paste(hot, (left.width + _GAP, 0))
    return _png(paper)


def _heated(image: Pixels, heat: npt.NDArray[np.float32], span: tuple[float, float]) -> Pixels:
    """The image in grey, under colours that cover more the hotter it is."""
    from matplotlib import colormaps  # slow to import, and a page of scores alone needs none

    low, high = span
    share = np.clip((heat - low) / max(high - low, 1e-12), 0, 1)
    colours = colormaps["inferno"](share)[..., :3]
    grey = np.repeat(image.mean(axis=0)[..., None] / 255, 3, axis=2)
    cover = (_OVER * share)[..., None]
    mixed = (1 - cover) * grey + cover * colours
    pixels: Pixels = (255 * mixed).round().astype(np.uint8).transpose(2, 0, 1)
    return pixels


def _as_rgb(image: Pixels) -> Image.Image:
    return Image.fromarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))


def _fitted(image: Image.Image) -> Image.Image:
    longer = max(image.size)
    if longer <= SIDE // 2:
        factor = SIDE // longer
        size = image.width * factor, image.height * factor
        return image.resize(size, Image.Resampling.NEAREST)
    if longer <= SIDE:
        return image
    width, height = (max(1, round(side * SIDE / longer)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
