"""One rule for every pixel format, over all that Pillow can write."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nsa_core.data.decode import FORMATS, MOST_PIXELS, ImageError, decode_image, image_shape

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


TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_comes_out_upright(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    data = encoded(COLOUR // 8 + 100, kind, exif=exif, **options.get(kind, {}))
    image = Image.fromarray(COLOUR // 8 + 100)
    upright = image.transpose(TURNED[orientation]) if orientation > 1 else image
    found = decode_image(data)
    np.testing.assert_allclose(found, np.asarray(upright), atol=5 if kind == "JPEG" else 0)
    assert image_shape(data) == (3, *found.shape[:2])


def test_a_png_may_say_behind_its_pixels_how_it_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(COLOUR, exif=exif)
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4])
    chunk = data[start : start + length]
    data = data[:start] + data[start + length :]
    data = data[:-12] + chunk + data[-12:]
    assert decode_image(data).shape == (20, 12, 3)
    assert image_shape(data) == (3, 20, 12)


def test_the_header_tells_the_shape_of_every_mode(monkeypatch):
    for mode, kind in WRITTEN:
        data = encoded(in_mode(mode), kind)
        decoded = decode_image(data)
        assert image_shape(data) == (3 if decoded.ndim == 3 else 1, *decoded.shape[:2]), (
            mode,
            kind,
        )
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)  # it decodes nothing
    assert image_shape(encoded(COLOUR)) == (3, 12, 20)


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size():
    steps = np.add.outer(np.arange(640), np.arange(800))[..., None] // 6 * [1, 1, 0]
    data = encoded(steps.astype(np.uint8), "JPEG", quality=95)
    small = decode_image(data, at_least=(64, 40))
    assert small.shape == (160, 200, 3)  # a quarter, not below twice the larger side
    mean = decode_image(data).reshape(160, 4, 200, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).max() < 4
    assert decode_image(data, at_least=(400, 400)).shape == (640, 800, 3)


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


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_hold_the_fewest_bits_that_their_values_fit_in(kind, bits):
    held = DEEP >> (16 - bits)
    np.testing.assert_array_equal(decode_image(encoded(held, kind)), held >> (bits - 8))


def test_black_stays_black_and_nearly_black_stays_dark():
    assert (decode_image(encoded(DEEP * 0)) == 0).all()
    assert decode_image(encoded((DEEP % 16).astype(np.uint16))).max() == 15


@pytest.mark.parametrize("dark", [DEEP >> 4, DEEP * 0])  # up to 4095, and black
def test_colours_of_sixteen_bits_that_hold_twelve_are_not_read_as_black(dark):
    """Pillow gives their high 8 bits alone."""
    opaque = np.full_like(DEEP, 65535)
    for data in (
        png_of_16_bits(np.dstack([dark] * 3), 2),
        png_of_16_bits(np.dstack([dark, opaque]), 4),
        png_of_16_bits(np.dstack([dark, dark, dark, opaque]), 6),
    ):
        with pytest.raises(ImageError, match="of 16 bits and nowhere uses the highest 4"):
            decode_image(data)


def test_floats_from_0_to_1_are_greys():
    values = np.linspace(0, 1, 240, dtype=np.float32).reshape(12, 20)
    found = decode_image(encoded(values, "TIFF"))
    np.testing.assert_array_equal(found, np.rint(values.astype(float) * 255))


@pytest.mark.parametrize("worst", [1.01, -0.01, 255.0, np.nan, np.inf])
def test_floats_of_another_range_are_refused(worst):
    values = np.full((4, 4), 0.5, np.float32)
    values[1, 2] = worst
    with pytest.raises(ImageError, match="range is unknown; need 0 to 1"):
        decode_image(encoded(values, "TIFF"))


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


def test_a_caller_may_allow_more_pixels():
    side = int(MOST_PIXELS**0.5) + 1
    data = encoded(Image.new("1", (side, side)))
    assert decode_image(data, most_pixels=2 * MOST_PIXELS).shape == (side, side)
    for look in (decode_image, image_shape):
        with pytest.raises(ImageError, match=f"need at most {MOST_PIXELS} pixels"):
            look(data)


@pytest.mark.parametrize("side", [10_000, 15_000, 40_000])  # Pillow itself refuses the larger ones
def test_a_bomb_says_how_many_pixels_are_too_many(side):
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageError, match="need at most 67108864 pixels"):
        image_shape(bytes(data), 2**26)
