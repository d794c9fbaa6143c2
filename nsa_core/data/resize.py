"""How an image gets a size that is not its own."""

import numpy as np
import numpy.typing as npt
from PIL import Image

RESIZES = ("refuse", "stretch", "crop", "pad")
"""Policies: none; both sides for themselves; the middle, as large as fits; all of it, on black."""


def resized(
    pixels: npt.NDArray[np.uint8], size: tuple[int, int], policy: str
) -> npt.NDArray[np.uint8]:
    """The image [H, W] or [H, W, 3] at another size, averaged over what a pixel covers.

    Args:
        size: (H, W) of the result; an image that has it is returned as it is.
        policy: "stretch" (proportions change), "crop" (what is beyond its proportions is cut off,
            on both sides alike) or "pad" (what is missing is black, on both sides alike).
    """
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    image = Image.fromarray(pixels)
    least, most = sorted((size[0] / height, size[1] / width))  # by which it would be scaled
    if policy == "stretch":
        return _scaled(image, size, (0, 0, width, height))
    if policy == "crop":
        x, y = (max(0.0, each) for each in (width - size[1] / most, height - size[0] / most))
        return _scaled(image, size, (x / 2, y / 2, width - x / 2, height - y / 2))
    inside = max(1, round(height * least)), max(1, round(width * least))
    canvas = np.zeros((*size, *pixels.shape[2:]), np.uint8)
    top, left = (size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2
    whole = _scaled(image, inside, (0, 0, width, height))
    canvas[top : top + inside[0], left : left + inside[1]] = whole
    return canvas


def _scaled(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> npt.NDArray[np.uint8]:
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR, box=box))
