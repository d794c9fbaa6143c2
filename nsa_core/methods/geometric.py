"""The 72 geometric transforms of GEOM (Golan & El-Yaniv 2018), which GOAD takes over."""

import torch
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.methods.rotations import check_square

TRANSFORMS = 72
"""2 flips x 3 shifts of the rows x 3 of the columns x 4 rotations; number 0 changes nothing."""


def geometric_transforms(images: Tensor) -> Tensor:
    """All transforms of images [B, C, S, S], as [B, 72, C, S, S], of the same type.

    Flipped from left to right or not, then shifted by nothing or a quarter of the side (8 pixels
    of 32, as in the paper) up or down, left or right, then turned by quarter turns. What a shift
    uncovers shows the image mirrored at its border, the border pixel included.

    Raises:
        InputError: images that are not square, or of less than 4 pixels.
    """
    check_square(images)
    if (amount := images.shape[3] // 4) == 0:
        raise InputError(f"images are {images.shape[3]} pixels wide; a quarter of it is no shift")
    found = []
    for flipped in (images, images.flip(3)):
        for rows in (0, -amount, amount):
            for columns in (0, -amount, amount):
                moved = _shift(_shift(flipped, rows, 2), columns, 3)
                found += [torch.rot90(moved, turns, (2, 3)) for turns in range(4)]
    return torch.stack(found, dim=1)


def _shift(images: Tensor, amount: int, dim: int) -> Tensor:
    """Shift towards higher indices of a dimension, or lower ones; the border is a mirror.

    By copies of slices: torch's "reflect" padding leaves the border pixel out, and an index
    tensor made here would make the device wait.
    """
    kept = images.shape[dim] - abs(amount)
    if amount > 0:
        mirror = images.narrow(dim, 0, amount).flip(dim)
        return torch.cat([mirror, images.narrow(dim, 0, kept)], dim)
    if amount < 0:
        mirror = images.narrow(dim, kept, -amount).flip(dim)
        return torch.cat([images.narrow(dim, -amount, kept), mirror], dim)
    return images
