"""RotNet (Gidaris et al. 2018) as DROC trains it for one class: which way up is this image?"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.augment import Augmentation
from nsa_core.methods.droc import DROC
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.rotations import QUARTERS, rotations, turns
from nsa_core.models import NormVariant, ResNet, mlp, unit_norm_if


class RotNet(Method):
    """Tell by which quarter turn each of four copies of a view was turned.

    All four copies of one view are in the batch. They are turned after the view is drawn: a flip
    after a turn would make 90 degrees look like 270. Its score is KDE of the embedding; what the
    classifier itself says is "rotation". The projection is the classifier's logits of the image,
    which for normal ones all name the same turn, so that they say nothing of a collapse.

    Args:
        encoder: gives embeddings y.
        norm: "none", as published, or "f": the classifier sees y/||y||.
    """

    norms = (NormVariant.NONE, NormVariant.F)
    square_only = True
    collapsed_below: ClassVar = {"embedding": 0.01}
    own_score_versions: ClassVar = {"rotation": 1}
    recipe: ClassVar = {**DROC.recipe, "batch_size": 64}

    def __init__(self, encoder: ResNet, norm: NormVariant) -> None:
        super().__init__()
        self.encoder = encoder
        self.f_norm = unit_norm_if(norm.on_embedding)
        self.classifier = mlp([encoder.features, QUARTERS], output_bn=False, output_bias=True)

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        return self._surprise(augment(images)).mean()

    def project(self, embedding: Tensor) -> Tensor:
        return self.classifier(self.f_norm(embedding))  # type: ignore[no-any-return]

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        """ "rotation": minus the log-probability of all four turns of an image, as DROC's."""
        surprise = torch.cat([self._surprise(block / 255) for block in test.split(256)], dim=1)
        return {"rotation": surprise.sum(dim=0)}

    def _surprise(self, images: Tensor) -> Tensor:
        """Minus the log-probability of each turn of images in [0, 1]: float64 [4, B]."""
        logits = self.project(self.encoder(rotations(images))).double()
        truth = turns(len(images), images.device)
        return F.cross_entropy(logits, truth, reduction="none").view(QUARTERS, -1)
