"""PANDA (Reiss et al. 2021): pre-trained features drawn towards the centre of normality."""

from typing import ClassVar

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nsa_core.methods.method import Augment
from nsa_core.methods.pretrained import Adapted
from nsa_core.models import Encoder, NormVariant


class PANDA(Adapted):
    """Distances of normal images to their centre before training become smaller, in tiny steps.

    A centre and a loss that a constant solves: what keeps features from it are a few epochs and
    gradients clipped to a thousandth (the early stopping of the paper's two ways). Images are
    trained on as they are, without views. Its score, "panda-2nn", is the sum of squared distances
    to the two nearest training features.

    Args:
        encoder: pre-trained.
        norm: "none".
        clip_norm: largest norm of all gradients together, above 0.
    """

    own_score_versions: ClassVar = {"panda-2nn": 1}
    recipe: ClassVar = {
        "norm": "none",
        "optimiser": "sgd",
        "momentum": 0.9,
        "learning_rate": 1e-2,
        "weight_decay": 5e-5,
        "batch_size": 32,
        "budget": 15,
    }

    def __init__(self, encoder: Encoder, norm: NormVariant, *, clip_norm: float = 1e-3) -> None:
        super().__init__(encoder, norm)
        self.clip_norm = clip_norm

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        return compactness(self.encoder(images / 255), self.centre)

    def before_step(self) -> None:
        clip_grad_norm_(self.parameters(), self.clip_norm)


def compactness(features: Tensor, centre: Tensor) -> Tensor:
    """Mean over a batch [B, d] of ||y - c||^2 / d."""
    return (features - centre).square().mean()
