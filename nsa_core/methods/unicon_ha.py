"""UniCon-HA (Wang et al., ICCV 2023): gather inliers, disperse rotated copies, stage by stage."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from nsa_core.augment import Augmentation
from nsa_core.errors import InputError, positive
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.rotations import rotations
from nsa_core.methods.unilateral import unilateral_contrast
from nsa_core.models import NormScale, NormVariant, ResNet, mlp, unit_norm_if

STAGES = 4


class UniConHA(Method):
    """UniCLR at several stages of the encoder, the deeper the stage the stronger its views.

    Stage i has views of its own, at i / 4 of the recipe's strength, and a projector of its own on
    its pooled map (the original's take the map itself). Views pass the encoder up to their stage.
    Off-centre views of the last stage, which are the strongest, count less as positives.

    Args:
        encoder: gives embeddings y, the pooled map of stage 4.
        norm: "none", or "f" for every stage's pooled map.
        hidden_dim: hidden width of the projectors.
        projector_dim: width of the projections.
        first_stage: from 1 to 4: this stage and the later ones have a loss. Eq. 9 sums over all;
            the best row of Table 6, whose AUROC is the paper's headline, says stages 2 to 4.
        temperature: of the softmax over cosines, above 0.
        soft_temperature: of the weights of views in the last stage, above 0.
        head_bn_eps: epsilon of the heads' batch norms.
        norm_scale: the length that f-norm gives vectors, "1" or "sqrt-d".
    """

    norms = (NormVariant.NONE, NormVariant.F)
    square_only = True
    collapsed_below: ClassVar = {"embedding": 0.01}
    recipe: ClassVar = {  # batch, momentum, decay and the strongest views are not in the paper
        "norm": "none",
        "optimiser": "sgd",
        "momentum": 0.9,
        "learning_rate": 0.01,
        "weight_decay": 3e-4,
        "batch_size": 32,
        "budget": 2048,
        "augment": Augmentation(crop_scale=(0.08, 1.0)),
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        hidden_dim: int = 512,
        projector_dim: int = 128,
        first_stage: int = 2,
        temperature: float = 0.5,
        soft_temperature: float = 0.5,
        head_bn_eps: float = 1e-5,
        norm_scale: NormScale = NormScale.ONE,
    ) -> None:
        super().__init__()
        if not 1 <= first_stage <= STAGES:
            raise InputError(f"first_stage is {first_stage}; need a stage from 1 to {STAGES}")
        self.temperature = positive("temperature", temperature)
        self.soft_temperature = positive("soft_temperature", soft_temperature)
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding, norm_scale)
        self.stages = range(first_stage, STAGES + 1)
        self.projectors = nn.ModuleList(
            mlp(
                [encoder.features // 2 ** (STAGES - stage), hidden_dim, projector_dim],
                output_bn=False,
                output_bias=False,
                bn_eps=head_bn_eps,
            )
            for stage in self.stages
        )

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        instances = rotations(images)
        total = torch.zeros((), device=images.device)
        for stage, projector in zip(self.stages, self.projectors, strict=True):
            views = augment(instances, 2, strength=stage / STAGES)
            z1, z2 = projector(self.f_norm(self.encoder(views, stage))).chunk(2)
            soft = self.soft_temperature if stage == STAGES else None
            total = total + unilateral_contrast(z1, z2, len(images), self.temperature, soft)
        return total / len(self.stages)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projectors[-1](self.f_norm(embedding))  # type: ignore[no-any-return]
