"""Small folders of images, and what is said of bad ones."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsa_core import InputError
from nsa_core.data import read_pictures


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (4, 6), dtype=np.uint8)


IMAGE = encoded(noise(0))


def tree(folder: Path, *names: str, shape: tuple[int, ...] = (4, 6)) -> Path:
    """PNGs that differ, whatever they are called."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(noise(seed, *shape)))
    return folder


def refused(match: str, source, **options) -> None:
    with pytest.raises(InputError, match=match):
        read_pictures(source, **options)
