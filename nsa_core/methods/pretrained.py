"""Methods around an encoder that others have trained: left as it is, or adapted."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from nsa_core.augment import Augmentation
from nsa_core.methods.method import Method
from nsa_core.models import Encoder, NormVariant
from nsa_core.scorers.neighbours import Neighbours

_EARLY = 3  # the stem and two stages stay as they are
_NEIGHBOURS = 2


class Pretrained(Method):
    """The encoder is pre-trained, and its batch norms keep their statistics: it is always in
    evaluation mode. There is no projector.

    Args:
        encoder: gives embeddings y.
        norm: "none"; there is nowhere else for one to sit.
    """

    norms = (NormVariant.NONE,)
    pretrained = True
    encoder: Encoder

    def __init__(self, encoder: Encoder, norm: NormVariant) -> None:
        super().__init__()
        self.encoder = encoder

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.encoder.eval()
        return self

    def project(self, embedding: Tensor) -> Tensor:
        """The embedding itself."""
        return embedding


class Frozen(Pretrained):
    """Nothing is trained (DN2, Bergman et al. 2020, with any score): there is one evaluation."""

    trains = False
    recipe: ClassVar = {"norm": "none", "batch_size": 32, "budget": 1}  # the last two do nothing

    def __init__(self, encoder: Encoder, norm: NormVariant) -> None:
        super().__init__(encoder, norm)
        encoder.requires_grad_(False)


class Adapted(Pretrained):
    """The later stages are trained, around the mean of the training images before that.

    The stem and the first two stages are left as they are; a network that is one part is trained as
    a whole.

    Attributes:
        centre: the mean c, [features]; zeros until ``begin``.
    """

    scores_at_the_end = True
    centre: Tensor

    def __init__(self, encoder: Encoder, norm: NormVariant) -> None:
        super().__init__(encoder, norm)
        parts = encoder.parts()
        for part in parts[:_EARLY] if len(parts) > _EARLY else ():
            part.requires_grad_(False)
        self.register_buffer("centre", torch.zeros(encoder.features))

    def phi(self, embedding: Tensor) -> Tensor:
        """The feature that is adapted and scored, [B, features]."""
        return embedding

    def begin(self, images: Tensor) -> None:
        self.centre.copy_(self._phi_of(images).mean(dim=0))

    def project(self, embedding: Tensor) -> Tensor:
        """The feature seen from the centre."""
        return self.phi(embedding) - self.centre

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        """The sum of squared distances to the two nearest training features."""
        bank = Neighbours(self._phi_of(train).double())
        blocks = self._phi_of(test).double().split(512)
        near = [bank.k_nearest(block, torch.float64, _NEIGHBOURS) for block in blocks]
        name = next(iter(self.own_score_versions))  # STOC adds its own behind it
        return {name: torch.cat(near).square().sum(dim=1)}

    def _phi_of(self, images: Tensor) -> Tensor:
        """Features of uint8 images [N, C, H, W], a few at a time, without gradients."""
        self.eval()
        with torch.no_grad():
            blocks = images.split(self.encoder.images_at_once)
            return torch.cat([self.phi(self.encoder(block / 255)) for block in blocks])
