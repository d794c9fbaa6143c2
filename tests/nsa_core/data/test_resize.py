"""Every policy, against torchvision and by hand."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from nsa_core.data.resize import resized

RNG = np.random.default_rng(0)
SHAPES = [(40, 60), (60, 40), (60, 40, 3), (7, 9, 3)]


def torchvision_resize(pixels: np.ndarray, size) -> Image.Image:
    return resize(Image.fromarray(pixels), size, InterpolationMode.BILINEAR)


@pytest.mark.parametrize("shape", SHAPES)
def test_stretching_is_torchvisions_resize(shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    wanted = np.asarray(torchvision_resize(pixels, [16, 24]))
    np.testing.assert_array_equal(resized(pixels, (16, 24), "stretch"), wanted)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40, 3)])
def test_cropping_is_torchvisions_short_side_and_middle(shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    wanted = np.asarray(center_crop(torchvision_resize(pixels, 20), [20, 20]))
    np.testing.assert_allclose(resized(pixels, (20, 20), "crop").astype(int), wanted, atol=1)


def test_cropping_cuts_both_sides_alike():
    pixels = np.tile(np.arange(12, dtype=np.uint8), (4, 1))
    np.testing.assert_array_equal(resized(pixels, (4, 4), "crop"), pixels[:, 4:8])
    np.testing.assert_array_equal(resized(pixels.T, (4, 4), "crop"), pixels.T[4:8])


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_keeps_all_of_the_image_in_the_middle_of_black(shape):
    pixels = RNG.integers(1, 256, shape, dtype=np.uint8)
    found = resized(pixels, (30, 30), "pad")
    scale = 30 / max(shape[:2])
    high, wide = round(shape[0] * scale), round(shape[1] * scale)
    top, left = (30 - high) // 2, (30 - wide) // 2
    inside = found[top : top + high, left : left + wide]
    np.testing.assert_array_equal(inside, np.asarray(torchvision_resize(pixels, [high, wide])))
    assert found.astype(int).sum() == inside.astype(int).sum()


@pytest.mark.parametrize("policy", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (24, 1600), (1600, 24, 3), (1, 5000)])
def test_no_shape_is_too_odd(shape, policy):
    found = resized(np.full(shape, 200, np.uint8), (16, 20), policy)
    assert found.shape == (16, 20, *shape[2:])
    assert set(np.unique(found)) <= ({0, 200} if policy == "pad" else {200})
    assert (found == 200).any()


def test_an_image_of_the_size_is_left_alone():
    pixels = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert all(resized(pixels, (8, 8), each) is pixels for each in ("stretch", "crop", "pad"))
