"""SimSiam (Chen & He 2021) with NSA's f-norm and g-norm."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.methods.method import Augment, Method
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, separate_views, unit_norm_if


class SimSiam(Method):
    """Two views, a shared projector, a predictor, a stop-gradient on the target.

    NSA's heads: three layers in the projector and in the predictor (the original predictor has
    two). Batch norm sees one view at a time, as in the original, where they pass separately.

    Args:
        encoder: gives embeddings y.
        norm: f-norm feeds y/||y|| to the projector, g-norm z/||z|| to the predictor.
        projector_dim: width of the projector's hidden and output layers.
        predictor_dim: width of the predictor's hidden layers.
        head_bn_eps: epsilon of the heads' batch norms. It is not negligible beside the variance
            of unit vectors, 1/d in each coordinate.
        norm_scale: the length that f-norm and g-norm give vectors, "1" or "sqrt-d".
    """

    recipe: ClassVar = {  # NSA's
        "norm": "both",
        "batch_size": 512,
        "budget": 4000,
        "learning_rate": 1e-4,
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        projector_dim: int = 2048,
        predictor_dim: int = 512,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.projector = mlp(
            [encoder.features, projector_dim, projector_dim, projector_dim],
            output_bn=True,
            output_bias=True,
            bn_eps=head_bn_eps,
        )
        self.g_norm = unit_norm_if(norm.on_projection, norm_scale)
        self.predictor = mlp(
            [projector_dim, predictor_dim, predictor_dim, projector_dim],
            output_bn=False,
            output_bias=True,
            bn_eps=head_bn_eps,
        )

        separate_views(self, 2)

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        views = augment(images, 2)
        return self.loss_of(self.project(self.encoder(views)))

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(self.f_norm(embedding))  # type: ignore[no-any-return]

    def predict(self, projection: Tensor) -> Tensor:
        """The predictor's output for projections z; g-norm acts on its input (NSA, section 3.2)."""
        return self.predictor(self.g_norm(projection))  # type: ignore[no-any-return]

    def loss_of(self, projections: Tensor) -> Tensor:
        """Mean of D(h(z1), sg z2) and D(h(z2), sg z1), D the negative cosine; z = [z1; z2]."""
        z1, z2 = projections.detach().chunk(2)
        return negative_cosine(self.predict(projections), torch.cat([z2, z1]))


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of minus the cosine between rows, in [-1, 1]."""
    return -F.cosine_similarity(prediction.float(), target.float(), dim=-1).mean()
