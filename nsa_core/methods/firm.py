"""FIRM (Lunardi et al., ECAI 2025): compact inliers, and rotated copies that stay diverse."""

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from nsa_core.errors import InputError, positive
from nsa_core.methods.droc import DROC_VIEWS
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.rotations import rotations
from nsa_core.methods.unilateral import pairwise_contrast
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, unit_norm_if


class FIRM(Method):
    """All images are positives of each other; each rotated copy of one only of itself.

    A batch holds the four rotations of each of its images: 8 images are the 32 instances of the
    original, which draws them from all rotations of all images.

    Args:
        encoder: gives embeddings y.
        norm: "none" or "f".
        hidden_dim: width of the projector's hidden layers.
        projector_dim: width of the projection.
        head_layers: linear layers of the projector, at least 2; the last ends in a batch norm.
        temperature: of the softmax over cosines, above 0.
        head_bn_eps: epsilon of the head's batch norms.
        norm_scale: the length that f-norm gives vectors, "1" or "sqrt-d".
    """

    norms = (NormVariant.NONE, NormVariant.F)
    square_only = True
    collapsed_below: ClassVar = {"embedding": 0.01}
    recipe: ClassVar = {  # of its script for CIFAR-10, whose views are blurred too
        "norm": "none",
        "optimiser": "sgd",
        "momentum": 0.9,
        "learning_rate": 0.01,
        "weight_decay": 3e-4,
        "batch_size": 8,
        "budget": 2000,
        "augment": replace(DROC_VIEWS, flip=0.0, grey=0.0),
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        hidden_dim: int = 1024,
        projector_dim: int = 128,
        head_layers: int = 8,
        temperature: float = 0.2,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        if head_layers < 2:
            raise InputError(f"head_layers is {head_layers}; need at least 2")
        self.temperature = positive("temperature", temperature)
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.projector = mlp(
            [encoder.features, *[hidden_dim] * (head_layers - 1), projector_dim],
            output_bn=True,
            output_bias=False,
            bn_eps=head_bn_eps,
        )

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        instances = rotations(images)
        views = augment(instances, 2)
        z1, z2 = self.project(self.encoder(views)).chunk(2)
        return pairwise_contrast(z1, z2, len(images), self.temperature)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(self.f_norm(embedding))  # type: ignore[no-any-return]
