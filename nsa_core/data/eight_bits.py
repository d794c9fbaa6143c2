"""One rule for every pixel format.

An image as Pillow has opened it, in 8 bits:

| what the file holds | what comes out |
| --- | --- |
| grey, 1 bit to 8 bits | grey |
| colour (RGB, palette, CMYK, YCbCr, LAB) | RGB |
| grey of 12 bits | the high 8 bits |
| grey of 16 bits | the high 8 of 8, 12 or 16 bits, the fewest that its values fit in |
| colour of 16 bits | the high 8 bits; refused if the highest 4 are nowhere used |
| grey of floats in [0, 1] | 255 times that, rounded |
| any of these with transparency | the same, laid over white |
| signed or 32-bit integers, other floats | refused: their range is not known |
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

_GREY = ("1", "L", "LA", "La")
_DARK = 16
_DEPTHS = (8, 12, 16)  # of cameras that store 16 bits
_GREY_OF_FEW_BITS = {"L;2": 85, "L;4": 17}  # the step from one grey to the next


class ImageError(ValueError):
    """An image cannot be decoded; the message says why."""


def in_eight_bits(image: Image.Image, held: str, white_is_0: bool) -> npt.NDArray[np.uint8]:
    """The pixels of an upright image: [H, W] if grey, else [H, W, 3].

    Args:
        held: how its file holds a pixel, as Pillow calls it; "" if that is no matter.
        white_is_0: whether its grey of over 8 bits has 0 for white, as TIFF allows.

    Raises:
        ImageError: of unknown range.
    """
    if image.mode.startswith("I;16"):
        return _high_bits(image, (12,) if held == "I;12" else _DEPTHS, white_is_0)
    if image.mode == "F":
        return _of_floats(np.asarray(image), white_is_0)
    return _of_bytes(image, held)


def is_grey(mode: str, held: str) -> bool:
    """Whether pixels of this mode, held in a file like this, come out as [H, W]."""
    return mode in _GREY or mode.startswith(("I", "F")) or held.startswith("LA;")


def _high_bits(
    image: Image.Image, depths: tuple[int, ...], white_is_0: bool
) -> npt.NDArray[np.uint8]:
    """Grey of the first of some depths, in bits, that its values fit in."""
    values = np.asarray(image).astype(np.uint16)
    depth = next(bits for bits in depths if values.max() < 2**bits)
    high = (values >> (depth - 8)).astype(np.uint8)
    high = 255 - high if white_is_0 else high
    high[values == image.info.get("transparency")] = 255
    return high


def _of_floats(values: npt.NDArray[np.float32], white_is_0: bool) -> npt.NDArray[np.uint8]:
    if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
        raise ImageError(
            f"its floats go from {values.min():g} to {values.max():g}, so their range is unknown; "
            "need 0 to 1, or 8 or 16 bits"
        )
    return np.rint(255 * (1 - values if white_is_0 else values)).astype(np.uint8)


def _of_bytes(image: Image.Image, held: str) -> npt.NDArray[np.uint8]:
    if image.mode.startswith("I"):
        raise ImageError(f"it has mode {image.mode}, whose range is unknown; need 8 or 16 bits")
    bands = image.getbands()
    if ";16" in held:  # of colour Pillow gives the high 8 bits
        if "transparency" in image.info:
            raise ImageError("one of its colours of 16 bits is transparent; need an alpha channel")
        _not_dark(np.asarray(image)[..., : len(bands) - (bands[-1] in "Aa")])
    if held in _GREY_OF_FEW_BITS and "transparency" in image.info:
        image.info["transparency"] *= _GREY_OF_FEW_BITS[held]  # Pillow scales the pixels alone
    grey = is_grey(image.mode, held)
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        image = _as(image, "RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(_as(image, "L" if grey else "RGB"))


def _as(image: Image.Image, mode: str) -> Image.Image:
    """Pillow would copy an image that has the mode."""
    return image if image.mode == mode else image.convert(mode)


def _not_dark(high: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if high.max() < _DARK:
        raise ImageError(
            "it is of 16 bits and nowhere uses the highest 4: it would be black, or nearly, in 8 "
            "bits; scale it to the whole range first, or store it in 8 bits"
        )
    return high
