"""Images at the size that the encoder sees, to the bit on every machine.

Two small matrix products with whole-number weights, so every sum is exact in float32, in whatever
order it is added up; an exported model gives the same pixels.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

_BLOCK = 64
_ONE = 2**16  # 255 times it is below 2^24: whole numbers that float32 holds


class Shrink(nn.Module):
    """Images [B, C, H, W] to [B, C, h, w]: linear interpolation, with antialiasing.

    Args:
        size: (H, W), of the images.
        target: (h, w).
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int], target: tuple[int, int]) -> None:
        super().__init__()
        self.same = size == target
        for name, given, wanted in zip(("rows", "columns"), size, target, strict=True):
            self.register_buffer(name, weights(given, wanted), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Whole numbers from 0 to 255 as float32, from and to the same."""
        if self.same:
            return images
        high = _whole(images @ self.columns.T)
        return _whole(self.rows @ high)

    @torch.inference_mode()
    def of_uint8(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The same of uint8 images, a few at a time; without copying those of the size."""
        if self.same:
            return images
        found = np.empty((*images.shape[:2], len(self.rows), len(self.columns)), np.uint8)
        for start in range(0, len(images), _BLOCK):
            block = torch.from_numpy(np.array(images[start : start + _BLOCK])).float()
            found[start : start + _BLOCK] = self(block).to(torch.uint8).numpy()
        return found


def weights(given: int, wanted: int) -> Tensor:
    """[wanted, given], float32 whole numbers, each row adds up to 2^16.

    A triangle around the middle of each target pixel, as wide as the larger of both pixels (as
    Pillow's and torch's "bilinear" with antialiasing).
    """
    scale = given / wanted
    width = max(scale, 1.0)
    middle = (torch.arange(wanted, dtype=torch.float64) + 0.5) * scale
    pixels = torch.arange(given, dtype=torch.float64) + 0.5
    share = (1 - (pixels - middle[:, None]).abs() / width).clamp_min(0)
    whole = (share / share.sum(dim=1, keepdim=True) * _ONE).round()
    whole[torch.arange(wanted), share.argmax(dim=1)] += _ONE - whole.sum(dim=1)
    return whole.float()


def _whole(sums: Tensor) -> Tensor:
    return (sums / _ONE + 0.5).floor()
