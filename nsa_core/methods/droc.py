"""DROC (Sohn et al. 2021): contrastive learning on a distribution augmented by rotations."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.augment import Augmentation
from nsa_core.errors import positive
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.rotations import QUARTERS, rotations
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, unit_norm_if

DROC_VIEWS = Augmentation(crop_scale=(0.25, 1.0), crop_ratio=(1.0, 1.0), hue=0.4, jitter=1.0)
"""Square crops of at least half the side, and colours that always change; the blur of its list does
nothing in training. It draws a crop's side evenly, we its area."""


class DROC(Method):
    """Contrast an image's first view with the second views of the batch, its own among them.

    The training set is four times as large: every image also turned by 90, 180 and 270 degrees, as
    images of their own, so that features are less uniform on the normal ones. The deep head keeps
    the encoder's features apart from what the loss wants. Its scores are KDE and the one-class SVM
    of the embedding.

    Args:
        encoder: gives embeddings y.
        norm: "none", as published, or "f".
        hidden_layers: of the projector, each Linear-BN-ReLU.
        hidden_dim: their width.
        projector_dim: width of the projection.
        temperature: of the softmax over cosines, above 0.
        head_bn_eps: epsilon of the head's batch norms.
        norm_scale: the length that f-norm gives vectors, "1" or "sqrt-d".
    """

    norms = (NormVariant.NONE, NormVariant.F)
    instances = QUARTERS
    recipe: ClassVar = {
        "norm": "none",
        "optimiser": "sgd",
        "momentum": 0.9,
        "learning_rate": 0.01,
        "weight_decay": 3e-4,
        "batch_size": 32,
        "budget": 2048,
        "augment": DROC_VIEWS,
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        hidden_layers: int = 8,
        hidden_dim: int = 512,
        projector_dim: int = 128,
        temperature: float = 0.2,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        self.temperature = positive("temperature", temperature)
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.projector = mlp(
            [encoder.features, *[hidden_dim] * hidden_layers, projector_dim],
            output_bn=False,
            output_bias=False,
            bn_eps=head_bn_eps,
        )

    def prepare(self, images: Tensor) -> Tensor:
        return rotations(images)

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        views = augment(images, 2)
        z1, z2 = self.project(self.encoder(views)).chunk(2)
        return one_way_nt_xent(z1, z2, self.temperature)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(self.f_norm(embedding))  # type: ignore[no-any-return]


def one_way_nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Each row of z1 must find its partner among the N rows of z2; rows of z1 are no candidates."""
    with torch.autocast(z1.device.type, enabled=False):
        first, second = F.normalize(z1.float(), dim=-1), F.normalize(z2.float(), dim=-1)
        partner = torch.arange(len(first), device=first.device)
        return F.cross_entropy(first @ second.T / temperature, partner)
