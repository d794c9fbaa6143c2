"""Images of every format and mode, damaged at random, and every door that opens an image."""

import io
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from nsa_core import InputError, load_images
from nsa_core.data.decode import FORMATS, ImageError, decode_image
from tests.nsa_core.data.test_decode import png_of_16_bits
from tracking.errors import DamagedFileError
from tracking.report.mistakes import KINDS, mistakes
from tracking.report.render.pictures import extremes_picture

SIDE = 24
MODES = (
    "1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV",
    "I", "F", "I;16", "I;16B",
)  # fmt: skip
FOR_MODES = {"jpeg": ("L", "RGB", "CMYK", "YCbCr"), "group4": ("1",)}  # that libtiff can do
OPTIONS: dict[str, tuple[dict, ...]] = {  # what else a format can be
    "PNG": ({},),
    "JPEG": ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}),
    "WEBP": ({}, {"lossless": True}),
    "TIFF": tuple(
        {"compression": each}
        for each in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg", "group4")
    ),
    "GIF": ({}, {"interlace": 1}),
    "BMP": ({},),
}


def image_in(mode: str) -> Image.Image:
    """Colours and lines, so that no coder has it too easy."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([10 * x, 10 * y, 255 * ((x + y) % 5 > 2), 255 - 9 * x], axis=-1)
    image = Image.fromarray(pixels.astype(np.uint8), "RGBA")
    if mode.startswith("I;16"):
        kind = "<u2" if mode == "I;16" else ">u2"
        return Image.frombytes(mode, image.size, (2700 * x).astype(kind).tobytes())
    if "A" in mode or "a" in mode:
        return image.convert("LA" if mode == "La" else "RGBA").convert(mode)
    return image.convert("RGB").convert(mode)


@cache
def originals() -> dict[str, bytes]:
    """Every mode in every format that writes it, by a name such as "TIFF RGB tiff_lzw"."""
    deep = np.dstack([np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE)] * 4).astype(np.uint16)
    found = {  # which Pillow reads, and does not write
        f"PNG of 16 bits, {bands} bands": png_of_16_bits(deep[..., :bands], kind)
        for bands, kind in ((2, 4), (3, 2), (4, 6))
    }
    for kind, mode in itertools.product(FORMATS, MODES):
        image = image_in(mode)
        for options in OPTIONS[kind]:
            if mode not in FOR_MODES.get(options.get("compression"), MODES):
                continue
            for frames in (1, 3) if kind in ("GIF", "WEBP", "TIFF", "PNG") else (1,):
                more = {"save_all": True, "append_images": [image] * 2} if frames > 1 else {}
                stream = io.BytesIO()
                try:
                    image.save(stream, kind, **options, **more)
                except (OSError, ValueError, KeyError, TypeError, RuntimeError):
                    continue  # the format does not hold it
                words = [str(value) for value in options.values()] + [f"x{frames}"] * (frames > 1)
                found[" ".join([kind, mode, *words])] = stream.getvalue()
    return found


def _cut(data: bytearray, stream: np.random.Generator) -> None:
    del data[stream.integers(len(data)) :]


def _flip(data: bytearray, stream: np.random.Generator) -> None:
    for _ in range(stream.integers(1, 6)):
        data[stream.integers(len(data))] ^= 1 << stream.integers(8)


def _overwrite(data: bytearray, stream: np.random.Generator) -> None:
    at = stream.integers(len(data))
    piece = stream.bytes(stream.integers(1, 40))
    data[at : at + len(piece)] = piece


def _drop(data: bytearray, stream: np.random.Generator) -> None:
    at = stream.integers(len(data))
    del data[at : at + stream.integers(1, 40)]


def _swap(data: bytearray, stream: np.random.Generator) -> None:
    one, two = sorted(stream.integers(0, len(data), 2))
    data[one:two] = data[two:] + data[one:two]


def _random(data: bytearray, stream: np.random.Generator) -> None:
    kept = stream.choice([0, 4, 16])  # so that some are taken for what they begin like
    data[kept:] = stream.bytes(stream.integers(1, 400))


DAMAGES: dict[str, Callable[[bytearray, np.random.Generator], None]] = {
    "cut": _cut, "bits flipped": _flip, "overwritten": _overwrite, "a piece gone": _drop,
    "pieces swapped": _swap, "random bytes": _random,
}  # fmt: skip


def cases(count: int, seed: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """Format and mode, damage, and the bytes: all formats in turn, and of each all its images."""
    stream = np.random.default_rng(seed)
    turns = {}
    for kind in FORMATS:
        images = [each for each in originals().items() if each[0].split()[0] == kind]
        pairs = list(itertools.product(images, DAMAGES))
        turns[kind] = itertools.cycle([pairs[row] for row in stream.permutation(len(pairs))])
    for kind in itertools.islice(itertools.cycle(FORMATS), count):
        (name, data), damage = next(turns[kind])
        damaged = bytearray(data)
        DAMAGES[damage](damaged, stream)
        yield name, damage, bytes(damaged)


def through_decoder(data: bytes, folder: Path) -> bool:
    """Whether it was read; any other end than the two is raised."""
    try:
        pixels = decode_image(data)
    except ImageError:
        return False
    assert pixels.dtype == np.uint8
    assert pixels.ndim in (2, 3)
    return True


def through_data_set(data: bytes, folder: Path) -> bool:
    """As an image Parquet file, the image in its second row."""
    good = io.BytesIO()
    image_in("L").save(good, "PNG")
    path = folder / "images.parquet"
    image = [{"bytes": each, "path": ""} for each in (good.getvalue(), data)]
    pq.write_table(pa.table({"image": image, "label": [0, 1]}), path)
    try:
        found = load_images(str(path), "all")
    except InputError as error:
        return _refused(error, f"{path}: row 1 ")
    assert found.images.shape[2:] == (SIDE, SIDE)
    return True


def through_store(data: bytes, folder: Path) -> bool:
    """As a trial's worst mistake, on its way to the report and to MLflow."""
    path = folder / "extremes.parquet"
    rows = [{"kind": kind, "rank": 1, "row": 0, "score": 0.5, "class_name": "a", "image": data}
            for kind in KINDS]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    try:
        found = mistakes(path)
    except DamagedFileError as error:
        return _refused(error, str(path))
    assert Image.open(io.BytesIO(extremes_picture(found, path))).size[0] < 1000
    return True


def _refused(error: Exception, where: str) -> bool:
    assert str(error).startswith(where)
    assert len(str(error)) < 500
    return False


DOORS: dict[str, Callable[[bytes, Path], bool]] = {
    "decoder": through_decoder,
    "data set": through_data_set,
    "report and MLflow": through_store,
}
