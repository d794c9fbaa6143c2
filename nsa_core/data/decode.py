"""One way to open an image, guarded, and one rule for every pixel format.

The first frame, turned as its EXIF orientation says, in 8 bits:

| what the file holds | what comes out |
| --- | --- |
| grey, 1 bit to 8 bits | grey |
| colour (RGB, palette, CMYK, YCbCr, LAB) | RGB |
| either of 12 or 16 bits | the high 8 of 16 bits; refused if the highest 4 are nowhere used: it \
would be black, or nearly |
| any of these with transparency | the same, laid over white |
| signed or 32-bit integers, floats | refused: their range is not known |
"""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What is decoded, whatever else Pillow could; some of its decoders start other programs."""

MOST_PIXELS = 2**24
"""Of an image: a few bytes can unpack to gigabytes."""

_SCAN, _MOST_SCANS = b"\xff\xda", 500
"""Of a JPEG, which has 10 if it is progressive: each costs the time of the whole image."""

_GREY = ("1", "L", "LA", "La")
_DARK = 16
_GREY_OF_FEW_BITS = {"L;2": 85, "L;4": 17}  # the step from one grey to the next
_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF
_TILE_WIDTH, _TILE_LENGTH = 322, 323

# What Pillow warns of, it reads all the same or raises; without a row it would help nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """An image cannot be decoded; the message says why."""


def decode_image(data: bytes) -> npt.NDArray[np.uint8]:
    """The pixels: [H, W] if grey, else [H, W, 3].

    Raises:
        ImageError: no image of a known format, damaged, too large, or of unknown range.
    """
    with _opened(data) as image:
        try:
            held = _held(image)
            image.load()
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):
                return _high_bits(upright, inverted=_tag(image, _PHOTOMETRIC) == 0)
            return _in_8_bits(upright, held)
        except ImageError:
            raise
        except Exception as error:  # Pillow raises nearly anything on a broken file
            raise ImageError(f"{type(error).__name__}: {error}") from error


def _opened(data: bytes) -> ImageFile.ImageFile:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        tile = _tag(image, _TILE_LENGTH) or 0, _tag(image, _TILE_WIDTH) or 0
    except Exception as error:
        raise ImageError(
            f"no readable image of {', '.join(FORMATS)} ({type(error).__name__})"
        ) from error
    width, height = image.size  # from the header: nothing has been decoded
    for what, high, wide in (("it is", height, width), ("it has tiles of", *tile)):
        if high * wide > MOST_PIXELS:
            raise ImageError(f"{what} {high}x{wide}; need at most {MOST_PIXELS} pixels")
    if image.format in ("JPEG", "MPO") and (scans := data.count(_SCAN)) > _MOST_SCANS:
        raise ImageError(f"it is drawn {scans} times over; need at most {_MOST_SCANS} scans")
    return image


def _held(image: ImageFile.ImageFile) -> str:
    """How PNG and TIFF hold a pixel, as Pillow calls it: "RGB;16B", for instance; else ""."""
    if image.format not in ("PNG", "TIFF"):
        return ""
    if _tag(image, _SAMPLE_FORMAT) == 2:
        raise ImageError("its values are signed, so their range is unknown; need unsigned ones")
    planes = _tag(image, _PLANES) == 2 and image.info.get("compression") == "raw"
    if planes and _tag(image, _BITS) == 16:  # which Pillow reads as of 8 bits
        raise ImageError("it has 16 bits and a plane a colour; need the colours side by side")
    arguments = image.tile[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _tag(image: Image.Image, number: int) -> int | None:
    """A tag of TIFF, the first value of several; None if it has none, and in other formats."""
    value = getattr(image, "tag_v2", {}).get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


def _high_bits(image: Image.Image, inverted: bool) -> npt.NDArray[np.uint8]:
    """Grey of 12 or 16 bits; ``inverted`` if 0 is white."""
    values = np.asarray(image).astype(np.uint16)
    high = _not_dark((values >> 8).astype(np.uint8))
    high = 255 - high if inverted else high
    high[values == image.info.get("transparency")] = 255
    return high


def _in_8_bits(image: Image.Image, held: str) -> npt.NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        raise ImageError(f"it has mode {image.mode}, whose range is unknown; need 8 or 16 bits")
    bands = image.getbands()
    if ";16" in held:  # of colour Pillow gives the high 8 bits
        if "transparency" in image.info:
            raise ImageError("one of its colours of 16 bits is transparent; need an alpha channel")
        _not_dark(np.asarray(image)[..., : len(bands) - (bands[-1] in "Aa")])
    if held in _GREY_OF_FEW_BITS and "transparency" in image.info:
        image.info["transparency"] *= _GREY_OF_FEW_BITS[held]  # Pillow scales the pixels alone
    grey = image.mode in _GREY or held.startswith("LA;")
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("L" if grey else "RGB"))


def _not_dark(high: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if high.max() < _DARK:
        raise ImageError(
            "it is of 16 bits and nowhere uses the highest 4: it would be black, or nearly, in 8 "
            "bits; scale it to the whole range first, or store it in 8 bits"
        )
    return high
