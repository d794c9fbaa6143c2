import itertools

import numpy as np
import pytest
import scipy.ndimage
import torch

from nsa_core import InputError
from nsa_core.methods.geometric import TRANSFORMS, geometric_transforms


def one_by_one(image, amount):
    """The transforms of one channel [S, S], each by NumPy and SciPy alone."""
    found = []
    shifts = (0, -amount, amount)
    for flip, rows, columns, turns in itertools.product((False, True), shifts, shifts, range(4)):
        each = np.fliplr(image) if flip else image
        each = scipy.ndimage.shift(each, (rows, columns), order=0, mode="reflect")
        found.append(np.rot90(each, turns))
    return np.stack(found)


@pytest.mark.parametrize("side", [4, 16, 30, 32])
def test_transforms_equal_those_of_numpy_and_scipy_in_the_papers_order(side):
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    found = geometric_transforms(images)
    assert found.shape == (2, TRANSFORMS, 3, side, side)
    assert found.dtype == torch.uint8
    for image, row in itertools.product(range(2), range(3)):
        expected = one_by_one(images[image, row].numpy(), side // 4)
        assert np.array_equal(found[image, :, row].numpy(), expected)


def test_the_first_is_the_image_and_all_are_different_on_a_real_one(digits):
    image = torch.from_numpy(digits[0].images[:1])
    found = geometric_transforms(image)[0]
    assert torch.equal(found[0], image[0])
    assert len({each.numpy().tobytes() for each in found}) == TRANSFORMS


@pytest.mark.parametrize(
    ("size", "message"),
    [((32, 28), "images are 32x28; a method that turns"), ((3, 3), "images are 3 pixels wide")],
)
def test_other_sizes_are_refused(size, message):
    with pytest.raises(InputError, match=message):
        geometric_transforms(torch.zeros(1, 1, *size, dtype=torch.uint8))
