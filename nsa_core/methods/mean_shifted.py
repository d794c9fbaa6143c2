"""Mean-shifted contrastive adaptation of pre-trained features (Reiss and Hoshen 2023)."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from nsa_core.errors import positive
from nsa_core.methods.method import Augment
from nsa_core.methods.pretrained import Adapted
from nsa_core.methods.simclr import nt_xent
from nsa_core.models import Encoder, NormVariant


class MeanShifted(Adapted):
    """Contrast two views of an image with all others, by their angles around the mean.

    Around the origin normal features lie in a narrow cone, which a contrastive loss would spread
    out; seen from their mean they have room, and their distance to it stays. Without the paper's
    optional angular term. Its score, "msc-2nn", is the sum of squared distances of unit features to
    the two nearest of training.

    Args:
        encoder: pre-trained.
        norm: "none".
        temperature: of the softmax over cosines, above 0.
    """

    own_score_versions: ClassVar = {"msc-2nn": 1}
    recipe: ClassVar = {
        "norm": "none",
        "optimiser": "sgd",
        "momentum": 0.0,
        "learning_rate": 1e-5,
        "weight_decay": 5e-5,
        "batch_size": 64,
        "budget": 20,
    }

    def __init__(self, encoder: Encoder, norm: NormVariant, *, temperature: float = 0.25) -> None:
        super().__init__(encoder, norm)
        self.temperature = positive("temperature", temperature)

    def phi(self, embedding: Tensor) -> Tensor:
        """The embedding as a unit vector."""
        return F.normalize(embedding, dim=-1)

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        views = augment(images, 2)
        z1, z2 = self.project(self.encoder(views)).chunk(2)
        return nt_xent(z1, z2, self.temperature)
