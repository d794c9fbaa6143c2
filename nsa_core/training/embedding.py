"""Features of images from a trained method, without augmentation."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.methods import Method
from nsa_core.training.precision import true_float32

BATCH = 512
_MOVED = 2**26  # bytes of images that go to the device at a time, for which it waits


def embed(method: Method, images: npt.NDArray[np.uint8], device: torch.device) -> dict[str, Tensor]:
    """Features of uint8 images [N, C, H, W] by layer (``methods.LAYERS``), each float32 [N, d].

    In evaluation mode, in which the method is left, and in true float32.
    """
    blocks = []
    moved = max(1, _MOVED // (BATCH * images[0].nbytes)) * BATCH
    for start in range(0, len(images), moved):
        there = torch.tensor(np.ascontiguousarray(images[start : start + moved]), device=device)
        blocks += [embed_batch(method, block / 255) for block in there.split(BATCH)]
    return _joined(blocks)


def embed_batch(method: Method, images: Tensor) -> dict[str, Tensor]:
    """The same for one batch in [0, 1], float32 [B, C, H, W], on the method's device."""
    method.eval()
    with torch.inference_mode(), true_float32(images.device):
        return _joined([method.features(b) for b in images.split(method.encoder.images_at_once)])


def _joined(blocks: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([block[name] for block in blocks]) for name in blocks[0]}
