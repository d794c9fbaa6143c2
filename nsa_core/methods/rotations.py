"""Turns of images by quarters: the transformation that most of the compared methods predict."""

import torch
from torch import Tensor

from nsa_core.errors import InputError

QUARTERS = 4


def rotations(images: Tensor) -> Tensor:
    """All images [B, C, H, H] as they are, then all turned by 90, 180 and 270 degrees: [4B, ...].

    Raises:
        InputError: the images are not square.
    """
    return turned(images.repeat(QUARTERS, 1, 1, 1))


def turned(images: Tensor) -> Tensor:
    """The four quarters of a batch [4B, C, H, H] turned by 0, 90, 180 and 270 degrees.

    Raises:
        InputError: the images are not square.
    """
    check_square(images)
    return torch.cat([part.rot90(k, (2, 3)) for k, part in enumerate(images.chunk(QUARTERS))])


def turns(batch: int, device: torch.device) -> Tensor:
    """Which turn each image of ``rotations`` has: int64 [4B] of 0 to 3."""
    return torch.arange(QUARTERS, device=device)[:, None].expand(-1, batch).flatten()


def check_square(images: Tensor) -> None:
    """Raise an InputError unless the images [B, C, H, W] are square: others change shape."""
    height, width = images.shape[2:]
    if height != width:
        raise InputError(
            f"images are {height}x{width}; a method that turns them by 90 degrees needs square ones"
        )
