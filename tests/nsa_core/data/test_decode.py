"""One rule for every pixel format, over all that Pillow can write."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nsa_core.data.decode import FORMATS, MOST_PIXELS, ImageError, decode_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 20), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_grey_stays_grey_in_every_format_without_loss(kind):
    decoded = decode_image(encoded(GREY, kind))
    np.testing.assert_array_equal(decoded if decoded.ndim == 2 else decoded[..., 0], GREY)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_colour_stays_colour_in_every_format_without_loss(kind, options):
    np.testing.assert_array_equal(decode_image(encoded(COLOUR, kind, **options)), COLOUR)


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")


def in_mode(mode: str) -> Image.Image:
    return Image.fromarray(COLOUR).convert("RGBA" if "A" in mode else "RGB").convert(mode)


def writes(mode: str, kind: str) -> bool:
    try:
        encoded(in_mode(mode), kind)
    except (OSError, ValueError, KeyError):
        return False
    return True


WRITTEN = [pair for pair in itertools.product(MODES, FORMATS) if writes(*pair)]


def test_most_modes_are_among_those_that_are_tried():
    assert {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"} <= {m for m, _ in WRITTEN}


@pytest.mark.parametrize(("mode", "kind"), WRITTEN)
def test_every_mode_that_a_format_holds_is_read_as_pillow_shows_it(mode, kind):
    data = encoded(in_mode(mode), kind)
    with Image.open(io.BytesIO(data)) as stored:
        shown = np.asarray(stored.convert("RGB")).astype(int)
    decoded = decode_image(data).astype(int)
    colour = decoded if decoded.ndim == 3 else np.stack([decoded] * 3, axis=-1)
    np.testing.assert_allclose(colour, shown, atol=1)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_mode_whose_range_nobody_knows_is_refused(mode):
    with pytest.raises(ImageError, match="range is unknown"):
        decode_image(encoded(Image.fromarray(GREY).convert(mode), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_comes_out_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(COLOUR, "TIFF", exif=exif) if orientation % 2 else encoded(COLOUR, exif=exif)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    image = Image.fromarray(COLOUR)
    upright = image.transpose(turned[orientation]) if orientation > 1 else image
    np.testing.assert_array_equal(decode_image(data), np.asarray(upright))


def test_transparency_is_laid_over_white_in_every_form():
    alpha = np.zeros((12, 20), np.uint8)
    alpha[:, :10] = 255
    rgba = np.dstack([COLOUR, alpha])
    over = decode_image(encoded(rgba))
    np.testing.assert_array_equal(over[:, :10], COLOUR[:, :10])
    assert (over[:, 10:] == 255).all()
    grey = decode_image(encoded(np.dstack([GREY, alpha])))
    assert grey.ndim == 2
    np.testing.assert_array_equal(grey[:, :10], GREY[:, :10])
    assert (grey[:, 10:] == 255).all()
    palette = Image.fromarray(GREY // 64, mode="P")
    palette.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    shown = decode_image(encoded(palette, transparency=0))
    assert (shown[GREY // 64 == 0] == 255).all()
    assert (shown[GREY // 64 == 1] == [200, 0, 0]).all()


def test_half_transparent_is_half_white():
    half = np.dstack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 128, np.uint8)])
    assert np.abs(decode_image(encoded(half)).astype(int) - 127).max() <= 1


def test_sixteen_bits_keep_the_high_eight_whatever_the_byte_order():
    deep = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(decode_image(encoded(deep, kind)), deep >> 8)
    big = encoded(Image.frombytes("I;16B", (20, 12), deep.astype(">u2").tobytes()), "TIFF")
    np.testing.assert_array_equal(decode_image(big), deep >> 8)


def png_of_16_bits(pixels: np.ndarray, colour_type: int, transparent=()) -> bytes:
    """Pillow writes no colour of 16 bits."""
    rows = [row.astype(">u2").tobytes() for row in pixels]
    return png(rows, pixels.shape[1], 16, colour_type, transparent)


def png(rows, width: int, bits: int, colour_type: int, transparent=()) -> bytes:
    """A PNG of packed rows, of which one colour may be transparent."""
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    if transparent:
        chunks.insert(1, (b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


DEEP = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)


def test_sixteen_bits_in_colour_keep_the_high_eight_too():
    colour = decode_image(png_of_16_bits(np.dstack([DEEP] * 3), 2))
    assert np.abs(colour.astype(int) - (DEEP >> 8)[..., None]).max() <= 1
    opaque = np.dstack([DEEP, np.full_like(DEEP, 65535)])
    alpha = decode_image(png_of_16_bits(opaque, 4))
    assert np.abs(alpha.reshape(12, 20, -1)[..., 0].astype(int) - (DEEP >> 8)).max() <= 1


@pytest.mark.parametrize("dark", [DEEP >> 4, DEEP * 0])  # up to 4095, and black
def test_sixteen_bits_that_hold_twelve_are_not_read_as_black(dark):
    opaque = np.full_like(DEEP, 65535)
    for data in (
        encoded(dark),
        encoded(dark, "TIFF"),
        png_of_16_bits(np.dstack([dark] * 3), 2),
        png_of_16_bits(np.dstack([dark, opaque]), 4),
        png_of_16_bits(np.dstack([dark, dark, dark, opaque]), 6),
    ):
        with pytest.raises(ImageError, match="of 16 bits and nowhere uses the highest 4"):
            decode_image(data)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_few_bits_is_laid_over_white(bits):
    most = 2**bits - 1
    values = np.tile(np.arange(most + 1), 8).reshape(8, -1).astype(np.uint8)
    ones = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :]
    rows = [row.tobytes() for row in np.packbits(ones.reshape(8, -1), axis=1)]
    found = decode_image(png(rows, most + 1, bits, 0, transparent=[1]))
    np.testing.assert_array_equal(found, np.where(values == 1, 255, values * (255 // most)))


def test_a_transparent_grey_of_sixteen_bits_is_laid_over_white():
    hidden = int(DEEP[3, 4])
    found = decode_image(png_of_16_bits(DEEP, 0, transparent=[hidden]))
    np.testing.assert_array_equal(found, np.where(hidden == DEEP, 255, DEEP >> 8))


def test_a_transparent_colour_of_sixteen_bits_is_refused():
    """Of its pixels Pillow gives the high 8 bits alone, which others have too."""
    with pytest.raises(ImageError, match="colours of 16 bits is transparent; need an alpha"):
        decode_image(png_of_16_bits(np.dstack([DEEP] * 3), 2, transparent=[5, 6, 7]))


def test_grey_with_alpha_of_sixteen_bits_stays_grey():
    assert decode_image(png_of_16_bits(np.dstack([DEEP, DEEP]), 4)).ndim == 2


def test_the_first_frame_of_several():
    frames = [Image.fromarray(np.full((6, 6), value, np.uint8)) for value in (40, 200)]
    for kind in ("GIF", "TIFF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (decode_image(data) == 40).all()


def test_other_decoders_of_pillow_are_not_started():
    with pytest.raises(ImageError, match="no readable image of PNG, JPEG"):
        decode_image(encoded(COLOUR, "PPM"))
    with pytest.raises(ImageError, match="no readable image"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")


def test_a_jpeg_that_is_drawn_over_and_over_is_refused():
    data = encoded(COLOUR, "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode_image(data[:-2] + 100 * scan + data[-2:]).shape == (12, 20, 3)
    with pytest.raises(ImageError, match=r"it is drawn \d+ times over; need at most 500 scans"):
        decode_image(data[:-2] + 1000 * scan + data[-2:])


def test_a_large_image_is_refused_by_its_header():
    side = int(MOST_PIXELS**0.5) + 1
    with pytest.raises(ImageError, match=f"it is {side}x{side}; need at most"):
        decode_image(encoded(Image.new("1", (side, side))))
