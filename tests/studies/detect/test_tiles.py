"""Tiles of a page: their sizes, and where heat shows."""

import io

import numpy as np
import pytest
from PIL import Image

from studies.detect.tiles import SIDE, pair, tile


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 16, 16), (160, 160)), ((3, 100, 90), (90, 100)), ((1, 320, 640), (160, 80))],
)
def test_a_tile_is_no_larger_than_a_page_shows(shape, size):
    image = np.zeros(shape, np.uint8)
    assert opened(tile(image)).size == size
    assert max(size) <= SIDE


def test_small_images_are_enlarged_pixel_for_pixel():
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16), dtype=np.uint8)
    found = np.asarray(opened(tile(image)))
    assert (found == np.kron(image[0], np.ones((10, 10), np.uint8))[..., None]).all()


def test_heat_colours_what_is_hot_and_leaves_the_rest_grey():
    image = np.full((3, 16, 16), 100, np.uint8)
    heat = np.zeros((16, 16), np.float32)
    heat[2:5, 2:5] = 1
    found = np.asarray(opened(pair(image, heat, (0.5, 1.0))).convert("RGB"))
    plain, hot = found[:, :160], found[:, -160:]
    assert (plain == 100).all()
    coloured = (hot != 100).any(axis=2)
    assert coloured[20:50, 20:50].all()
    assert coloured.sum() == 30 * 30
