"""Quarter turns against a loop over pixels."""

import pytest
import torch

from nsa_core import InputError
from nsa_core.methods.rotations import check_square, rotations, turned, turns


def turned_once(image):
    """Counter-clockwise by 90 degrees, one pixel at a time: the right column becomes the top."""
    channels, size, _ = image.shape
    found = torch.empty_like(image)
    for c in range(channels):
        for row in range(size):
            for column in range(size):
                found[c, size - 1 - column, row] = image[c, row, column]
    return found


def test_rotations_are_all_images_by_0_then_all_by_90_then_180_then_270_degrees():
    images = torch.randint(256, (3, 2, 5, 5), dtype=torch.uint8)
    expected, current = [], list(images)
    for _ in range(4):
        expected += current
        current = [turned_once(image) for image in current]
    assert torch.equal(torch.stack(current), images)  # four quarters
    assert torch.equal(rotations(images), torch.stack(expected))
    assert turns(3, torch.device("cpu")).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_quarters_of_a_batch_are_turned_each_by_its_own_angle():
    views = torch.rand(8, 1, 4, 4)
    found = turned(views)
    for row in range(8):
        image = views[row]
        for _ in range(row // 2):
            image = turned_once(image)
        assert torch.equal(found[row], image)


def test_images_that_are_not_square_are_refused_with_their_size():
    for function in (rotations, turned, check_square):
        with pytest.raises(InputError, match=r"images are 4x6; .* needs square ones"):
            function(torch.zeros(4, 1, 4, 6))
