"""What every self-supervised method is to the trainer."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from nsa_core.models import NormVariant, ResNet

ENCODER_LAYERS = ("stem", "stage1", "stage2", "stage3", "embedding")
LAYERS = (*ENCODER_LAYERS, "projection")
"""Where features are taken: pooled maps of the encoder, the last of them y, and z."""

Augment = Callable[[Tensor], Tensor]
"""uint8 images [B, C, H, W] to one random view of each, float32 in [0, 1]."""


class Method(nn.Module):
    """An encoder, a loss for a batch of images, and a hook after each step.

    A method makes its own views, as many as it wants, through the ``augment`` that it is handed:
    randomness comes from there alone. Nothing in ``loss`` may wait for the device.
    """

    norms: ClassVar[tuple[NormVariant, ...]] = tuple(NormVariant)
    """The norm variants that apply."""

    encoder: ResNet

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        """The scalar loss of uint8 images [B, C, H, W]."""
        raise NotImplementedError

    def project(self, embedding: Tensor) -> Tensor:
        """Projection z [B, d] of embeddings y [B, features], before any g-norm."""
        raise NotImplementedError

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Features of images [B, C, H, W] in [0, 1], each float32 [B, d], by layer."""
        found = dict(zip(ENCODER_LAYERS, self.encoder.pooled_stages(images), strict=True))
        return {**found, "projection": self.project(found["embedding"])}

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step; ``progress`` in (0, 1] is the share of steps done."""
