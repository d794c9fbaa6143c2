"""Every layout of pixels that Pillow reads from a TIFF, against the values that were put in."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import OPEN_INFO

from nsa_core.data.decode import ImageError, decode_image

HEIGHT, WIDTH = 5, 7
GREY, GREY_INVERTED, COLOUR, PALETTE, INK = (1, 6), 0, 2, 3, 5
UNRELATED, PREMULTIPLIED, ALPHA = 0, 1, 2


def tiff(key, values: np.ndarray, colormap=None, planes: int = 1, more=()) -> bytes:
    """A file without compression, of values [H, W, samples], as a key of ``OPEN_INFO`` says."""
    order, photometric, sample_format, fill, bits, extra = key
    mark = "<" if order == b"II" else ">"
    if bits[0] > 12:
        kind = {1: "u", 2: "i", 3: "f"}[sample_format[0]]
        data = values.astype(f"{mark}{kind}{bits[0] // 8}")
        data = np.moveaxis(data, -1, 0).tobytes() if planes == 2 else data.tobytes()
    else:
        shifts = np.arange(bits[0] - 1, -1, -1)
        ones = (values.astype(int)[..., None] >> shifts) & 1
        data = np.packbits(ones.reshape(HEIGHT, -1), axis=1).tobytes()
    if fill == 2:
        data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1])
        data = data.tobytes()
    tags = {
        256: [WIDTH], 257: [HEIGHT], 258: bits, 259: [1], 262: [photometric], 266: [fill],
        273: [8], 277: [len(bits)], 278: [HEIGHT], 279: [len(data)], 284: [planes],
        339: sample_format,
    }  # fmt: skip
    tags |= {338: extra} if extra else {}
    tags |= {320: colormap} if colormap is not None else {}
    tags |= dict(more)
    data += b"\0" * (len(data) % 2)
    at = 8 + len(data)
    entries, rest = b"", b""
    for number, items in sorted(tags.items()):
        packed = struct.pack(f"{mark}{len(items)}H", *items)
        if len(packed) > 4:
            place = at + 2 + 12 * len(tags) + 4 + len(rest)
            rest += packed
            packed = struct.pack(f"{mark}I", place)
        entries += struct.pack(f"{mark}HHI", number, 3, len(items)) + packed.ljust(4, b"\0")
    head = order + struct.pack(f"{mark}HI", 42, at)
    return head + data + struct.pack(f"{mark}H", len(tags)) + entries + b"\0" * 4 + rest


def expected(key, values: np.ndarray, colormap) -> np.ndarray | None:
    """By the rule that ``decode`` states, [H, W] or [H, W, 3]; None if it is to be refused."""
    _, photometric, sample_format, _, bits, extra = key
    if sample_format != (1,) or bits[0] == 32:
        return None
    deep = bits[0] in (12, 16)
    eight = values >> (bits[0] - 8) if deep else values * (255 // (2 ** bits[0] - 1))
    if photometric == GREY_INVERTED:
        return 255 - eight[..., 0]
    if photometric == PALETTE:
        shown = (colormap.reshape(3, -1).T >> 8)[values[..., 0]]
    elif photometric == COLOUR:
        shown = eight[..., :3]
    elif photometric in GREY and len(bits) - len(extra) == 1:
        shown = eight[..., 0]
    else:
        mode = {INK: "CMYK", 6: "YCbCr", 8: "LAB"}[photometric]
        size = 4 if photometric == INK else 3
        pixels = np.ascontiguousarray(eight[..., :size]).astype(np.uint8)
        shown = np.asarray(Image.frombytes(mode, (WIDTH, HEIGHT), pixels.tobytes()).convert("RGB"))
    missing = photometric == COLOUR and len(bits) == 4 and not extra  # then it is alpha
    kinds = (ALPHA,) if missing else extra
    if not kinds or kinds[0] == UNRELATED:
        return shown
    alpha = eight[..., -len(kinds)].astype(float)
    alpha = alpha[..., None] if shown.ndim == 3 else alpha
    weight = 255 if kinds[0] == PREMULTIPLIED else alpha
    return np.rint(shown * weight / 255 + 255 - alpha)


def pillow_knows(data: bytes) -> bool:
    """Its table has a few layouts that it cannot unpack."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except ValueError as error:
        return "unknown raw mode" not in str(error)
    return True


@pytest.mark.parametrize("photometric", sorted({key[1] for key in OPEN_INFO}))
def test_every_layout_of_a_tiff_is_read_by_the_rule(photometric):
    stream = np.random.default_rng(0)
    wrong = []
    for key in (key for key in OPEN_INFO if key[1] == photometric):
        bits, extra = key[4], key[5]
        values = stream.integers(0, 2 ** min(bits[0], 31), (HEIGHT, WIDTH, len(bits)))
        if extra and extra[0] == PREMULTIPLIED:
            values.sort(axis=-1)  # what is laid on is at most its alpha
            if len(extra) > 1:
                values[..., -len(extra)] = values.max(axis=-1)
        colormap = None
        if photometric == PALETTE:
            colormap = stream.integers(0, 2**16, 3 * 2 ** bits[0])
        data = tiff(key, values, colormap)
        wanted = expected(key, values, colormap) if pillow_knows(data) else None
        try:
            found = decode_image(data)
        except ImageError:
            found = None
        if wanted is None or found is None:
            wrong += [(key, wanted, found)] if wanted is not found else []
        elif wanted.shape != found.shape or np.abs(wanted - found.astype(int)).max() > 1:
            wrong.append((key, wanted, found))
    assert wrong == []


@pytest.mark.parametrize(("order", "photometric"), [(b"II", 1), (b"MM", 1), (b"II", 0), (b"MM", 0)])
def test_floats_are_read_in_either_order_and_either_way_round(order, photometric):
    values = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1)
    found = decode_image(tiff((order, photometric, (3,), 1, (32,), ()), values))
    wanted = np.rint(255 * values[..., 0]) if photometric else np.rint(255 * (1 - values[..., 0]))
    np.testing.assert_allclose(found, wanted, atol=1)


def test_twelve_bits_are_twelve_however_dark():
    values = np.full((HEIGHT, WIDTH, 1), 200)
    data = tiff((b"II", 1, (1,), 1, (12,), ()), values)
    assert (decode_image(data) == 200 >> 4).all()


def test_a_tile_larger_than_its_image_is_refused_by_the_header():
    key = (b"II", 1, (1,), 1, (8,), ())
    values = np.zeros((HEIGHT, WIDTH, 1), int)
    tile = {322: [30720], 323: [30000], 324: [8], 325: [HEIGHT * WIDTH]}
    with pytest.raises(ImageError, match="it has tiles of 30000x30720; need at most"):
        decode_image(tiff(key, values, more=tile))


def test_planes_of_16_bits_are_refused_rather_than_read_as_8():
    key = (b"II", COLOUR, (1,), 1, (16, 16, 16), ())
    values = np.random.default_rng(0).integers(0, 2**16, (HEIGHT, WIDTH, 3))
    with pytest.raises(ImageError, match="16 bits and a plane a colour"):
        decode_image(tiff(key, values, planes=2))
