"""Features of images from a trained method, without augmentation."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.methods import Method
from nsa_core.training.precision import autocast

BATCH = 512
EVALUATION = "fp32"  # whatever the training's precision: compact features differ in late digits


def embed(
    method: Method, images: npt.NDArray[np.uint8], device: torch.device, precision: str = EVALUATION
) -> dict[str, Tensor]:
    """Features of uint8 images [N, C, H, W] by layer (``methods.LAYERS``), each float32 [N, d].

    In evaluation mode, in which the method is left.
    """
    blocks = []
    for start in range(0, len(images), BATCH):
        block = np.ascontiguousarray(images[start : start + BATCH])
        blocks.append(embed_batch(method, torch.tensor(block, device=device) / 255, precision))
    return {name: torch.cat([block[name] for block in blocks]) for name in blocks[0]}


def embed_batch(method: Method, images: Tensor, precision: str = EVALUATION) -> dict[str, Tensor]:
    """The same for one batch in [0, 1], float32 [B, C, H, W], on the method's device."""
    method.eval()
    with torch.inference_mode(), autocast(images.device, precision):
        return method.features(images)
