"""BYOL (Grill et al. 2020) with NSA's f-norm and g-norm."""

import copy
import math
from typing import ClassVar

import torch
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.simsiam import negative_cosine
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, separate_views, unit_norm_if


class BYOL(Method):
    """The online network predicts the projection of a slowly moving copy of itself.

    The target (encoder and projector) is an exponential moving average of the online weights;
    its batch norms run in training mode on their own batches, and their running statistics are
    copied from the online network.

    Args:
        encoder: gives embeddings y.
        norm: f-norm feeds y/||y|| to both projectors, g-norm z/||z|| to the predictor.
        hidden_dim: hidden width of projector and predictor.
        projector_dim: width of the projection.
        ema: initial decay of the target in (0, 1); rises to 1 along a cosine.
        head_bn_eps: epsilon of the heads' batch norms.
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
        hidden_dim: int = 4096,
        projector_dim: int = 256,
        ema: float = 0.99,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        if not 0 < ema < 1:
            raise InputError(f"ema is {ema}; need a decay in (0, 1)")
        self.ema = ema
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.projector = mlp(
            [encoder.features, hidden_dim, projector_dim],
            output_bn=False,
            output_bias=True,
            bn_eps=head_bn_eps,
        )
        self.g_norm = unit_norm_if(norm.on_projection, norm_scale)
        self.predictor = mlp(
            [projector_dim, hidden_dim, projector_dim],
            output_bn=False,
            output_bias=True,
            bn_eps=head_bn_eps,
        )
        separate_views(self, 2)
        self.target_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        views = augment(images, 2)
        projections = self.project(self.encoder(views))
        with torch.no_grad():
            targets = self.target_projector(self.f_norm(self.target_encoder(views)))
        return self.loss_of(projections, targets)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(self.f_norm(embedding))  # type: ignore[no-any-return]

    def predict(self, projection: Tensor) -> Tensor:
        """The predictor's output for projections z; g-norm acts on its input (NSA, section 3.2)."""
        return self.predictor(self.g_norm(projection))  # type: ignore[no-any-return]

    def loss_of(self, projections: Tensor, targets: Tensor) -> Tensor:
        """Mean of 2 - 2 cos(h(z1), sg t2) and 2 - 2 cos(h(z2), sg t1), in [0, 4]; z = [z1; z2]."""
        target1, target2 = targets.detach().chunk(2)
        return 2 + 2 * negative_cosine(self.predict(projections), torch.cat([target2, target1]))

    def pace(self, progress: float) -> float:
        """How far the target follows in a step: 1 minus its decay, which rises to 1."""
        decay = 1 - (1 - self.ema) * (math.cos(math.pi * progress) + 1) / 2
        return 1 - decay

    def after_step(self, pace: Tensor) -> None:
        pairs = (self.target_encoder, self.encoder), (self.target_projector, self.projector)
        with torch.no_grad():
            for target, online in pairs:
                for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
                    slow.lerp_(fast, pace)
                for ours, theirs in zip(target.buffers(), online.buffers(), strict=True):
                    ours.copy_(theirs)
