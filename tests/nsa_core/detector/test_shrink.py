import numpy as np
import pytest
import torch
from PIL import Image

from nsa_core.detector.shrink import Shrink, weights

RNG = np.random.default_rng(0)
SIZES = [((96, 96), (48, 48)), ((50, 31), (20, 17)), ((8, 9), (16, 27)), ((300, 7), (64, 7))]


@pytest.mark.parametrize(("size", "target"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_pillows_but_for_rounding(size, target, channels):
    images = RNG.integers(0, 256, (3, channels, *size), dtype=np.uint8)
    found = Shrink(size, target).of_uint8(images)
    for image, small in zip(images.reshape(-1, *size), found.reshape(-1, *target), strict=True):
        pillows = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR)
        assert np.abs(small.astype(int) - np.asarray(pillows)).max() <= 1


@pytest.mark.parametrize(("size", "target"), SIZES)
def test_sums_are_exact_in_float32_in_any_order(size, target):
    images = RNG.integers(0, 256, (2, 3, *size), dtype=np.uint8)
    shrink = Shrink(size, target)
    wide = Shrink(size, target).double()
    expected = wide(torch.from_numpy(images).double()).numpy()
    np.testing.assert_array_equal(shrink.of_uint8(images), expected)
    turned = shrink.rows.flip(1), shrink.columns.flip(1)
    shrink.rows, shrink.columns = turned
    np.testing.assert_array_equal(shrink.of_uint8(images[:, :, ::-1, ::-1]), expected)


@pytest.mark.parametrize(("given", "wanted"), [(96, 48), (31, 17), (9, 27), (5000, 64)])
def test_weights_are_shares_of_one(given, wanted):
    found = weights(given, wanted)
    assert (found >= 0).all()
    assert (found == found.round()).all()
    assert (found.sum(dim=1) == 2**16).all()


def test_white_stays_white_and_black_black():
    for level in (0, 255):
        images = np.full((1, 1, 37, 53), level, np.uint8)
        assert (Shrink((37, 53), (11, 13)).of_uint8(images) == level).all()


def test_images_of_the_size_are_handed_on_as_they_are():
    images = RNG.integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    assert Shrink((8, 8), (8, 8)).of_uint8(images) is images


def test_many_images_are_done_in_parts_and_read_only_ones_too():
    images = RNG.integers(0, 256, (150, 1, 12, 12), dtype=np.uint8)
    images.flags.writeable = False
    shrink = Shrink((12, 12), (5, 5))
    whole = torch.from_numpy(np.array(images)).float()
    np.testing.assert_array_equal(shrink.of_uint8(images), shrink(whole).numpy())
