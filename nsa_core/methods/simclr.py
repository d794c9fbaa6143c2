"""SimCLR (Chen et al. 2020) with NSA's f-norm."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.errors import InputError, positive
from nsa_core.methods.method import Augment, Method
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, unit_norm_if


class SimCLR(Method):
    """Contrast two views of an image with all other views of the batch.

    There is no stop-gradient and no predictor, so g-norm does not apply; the loss normalises z
    with its gradient already. Both views pass the encoder together. Head as DROC's, cut to two
    layers.

    Args:
        encoder: gives embeddings y.
        norm: "none" or "f".
        hidden_dim: hidden width of the projector.
        projector_dim: width of the projection.
        temperature: of the softmax over cosines, above 0 (DROC: 0.2).
        head_bn_eps: epsilon of the head's batch norm.
        norm_scale: the length that f-norm gives vectors, "1" or "sqrt-d".
    """

    norms = (NormVariant.NONE, NormVariant.F)
    recipe: ClassVar = {  # NSA's
        "norm": "f",
        "batch_size": 512,
        "budget": 500,
        "learning_rate": 1e-4,
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        hidden_dim: int = 512,
        projector_dim: int = 128,
        temperature: float = 0.2,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        if norm.on_projection:
            raise InputError(
                f"norm is {norm.value!r}, but SimCLR has no predictor for a g-norm to feed; "
                "use 'none' or 'f'"
            )
        self.temperature = positive("temperature", temperature)
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.projector = mlp(
            [encoder.features, hidden_dim, projector_dim],
            output_bn=False,
            output_bias=False,
            bn_eps=head_bn_eps,
        )

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        views = augment(images, 2)
        z = self.project(self.encoder(views))
        z1, z2 = z.chunk(2)
        return nt_xent(z1, z2, self.temperature)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(self.f_norm(embedding))  # type: ignore[no-any-return]


def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """NT-Xent over 2N views: each must find its partner among the 2N - 1 others."""
    with torch.autocast(z1.device.type, enabled=False):
        unit = F.normalize(torch.cat([z1, z2]).float(), dim=-1)
        logits = unit @ unit.T / temperature
        logits = logits.masked_fill(
            torch.eye(len(unit), dtype=torch.bool, device=unit.device), float("-inf")
        )
        partner = torch.arange(len(unit), device=unit.device).roll(len(z1))
        return F.cross_entropy(logits, partner)
