"""One way to open an image, guarded; ``eight_bits.py`` is the rule for every pixel format."""

import io
import threading
import warnings
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps

from nsa_core.data.eight_bits import ImageError, in_eight_bits, is_grey
from nsa_core.errors import first_line

__all__ = ["FORMATS", "MOST_PIXELS", "ImageError", "decode_image", "image_shape"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What is decoded, whatever else Pillow could; some of its decoders start other programs."""

MOST_PIXELS = 2**24
"""Of an image: a few bytes can unpack to gigabytes. Larger ones, where a caller allows them, are
decoded one at a time.
"""

_SCAN, _MOST_SCANS = b"\xff\xda", 500
"""Of a JPEG, which has 10 if it is progressive: each costs the time of the whole image."""

_LYING = (5, 6, 7, 8)  # orientations of EXIF that swap height and width
_TURNS = (b"eXIf", b"Raw profile", b"Orientation")  # where a PNG may hold one
_LARGE = threading.Lock()
_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF
_TILE_WIDTH, _TILE_LENGTH = 322, 323

# What Pillow warns of, it reads all the same or raises; without a row it would help nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    data: bytes, most_pixels: int = MOST_PIXELS, at_least: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """The pixels of the first frame, turned as its EXIF orientation says: [H, W] if grey, else
    [H, W, 3].

    ``at_least`` (H, W) is what the caller will scale it down to: a JPEG of several times that size
    is decoded at a half, a quarter or an eighth of its own, in as much less memory.

    Raises:
        ImageError: no image of a known format, damaged, too large, or of unknown range.
    """
    with _opened(data, most_pixels) as image:
        try:
            if at_least and image.format in ("JPEG", "MPO"):
                image.draft(None, (2 * max(at_least), 2 * max(at_least)))
            with _LARGE if image.width * image.height > MOST_PIXELS else nullcontext():
                return _decoded(image)
        except ImageError:
            raise
        except Exception as error:  # Pillow raises nearly anything on a broken file
            raise ImageError(f"{type(error).__name__}: {first_line(error)}") from error


def image_shape(data: bytes, most_pixels: int = MOST_PIXELS) -> tuple[int, int, int]:
    """Channels (1 or 3), height and width of what ``decode_image`` gives, from the header alone.

    Raises:
        ImageError: as ``decode_image``, as far as the header tells.
    """
    with _opened(data, most_pixels) as image:
        try:
            channels = 1 if is_grey(image.mode, _held(image)) else 3
            width, height = image.size
            lying = _orientation(image, data) in _LYING
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(f"{type(error).__name__}: {first_line(error)}") from error
    return (channels, width, height) if lying else (channels, height, width)


def _orientation(image: ImageFile.ImageFile, data: bytes) -> int:
    if image.format == "TIFF":
        return 1  # Pillow gives the size of the upright image
    if image.format == "PNG" and not any(each in data for each in _TURNS):
        return 1  # else Pillow would decode all of it to look behind its pixels
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _decoded(image: ImageFile.ImageFile) -> npt.NDArray[np.uint8]:
    held = _held(image)
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return in_eight_bits(image, held, white_is_0=_tag(image, _PHOTOMETRIC) == 0)


def _opened(data: bytes, most_pixels: int) -> ImageFile.ImageFile:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        tile = _tag(image, _TILE_LENGTH) or 0, _tag(image, _TILE_WIDTH) or 0
    except Image.DecompressionBombError as error:
        raise ImageError(f"{error}; need at most {most_pixels} pixels") from error
    except Exception as error:
        raise ImageError(
            f"no readable image of {', '.join(FORMATS)} ({type(error).__name__})"
        ) from error
    width, height = image.size  # from the header: nothing has been decoded
    for what, high, wide in (("it is", height, width), ("it has tiles of", *tile)):
        if high * wide > most_pixels:
            raise ImageError(f"{what} {high}x{wide}; need at most {most_pixels} pixels")
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
