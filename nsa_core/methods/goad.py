"""GOAD (Bergman & Hoshen 2020): which of 72 geometric transforms was applied?"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsa_core.augment import Augmentation
from nsa_core.methods.geometric import TRANSFORMS, geometric_transforms
from nsa_core.methods.method import Augment, Method
from nsa_core.models import Head, NormVariant, ResNet

_BLOCK = 8  # images at a time, of 72 transforms each


class GOAD(Method):
    """Features of each transform gather around a centre of their own, away from the others.

    The features z are the embedding itself; there is no projector, so the norms do not apply.
    Views are the transforms alone, and nothing in them is random. Batches hold all transforms of
    an image: 4 images are the 288 of the paper.

    Args:
        encoder: gives z; the original's is a WRN-10-4 with 256 features.
        norm: "none".
        margin: m, by which a feature has to be nearer to its centre than to any other (README of
            the original: 0.1; its code unless told otherwise: 1).
        triplet_weight: lambda, of the centre triplet loss.
        square_weight: of the mean square of the features.
    """

    norms = (NormVariant.NONE,)
    square_only = True
    collapsed_below: ClassVar = {"embedding": 0.01}
    own_score_versions: ClassVar = {"goad": 1}
    scores_at_the_end = True
    recipe: ClassVar = {"norm": "none", "batch_size": 4, "budget": 16, "learning_rate": 1e-3}

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        margin: float = 0.1,
        triplet_weight: float = 0.1,
        square_weight: float = 10.0,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.triplet_weight = triplet_weight
        self.square_weight = square_weight
        self.encoder = encoder
        self.classifier = Head(nn.Linear(encoder.features, TRANSFORMS))

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        return self.loss_of(self.transformed(images.float() / 255))

    def loss_of(self, z: Tensor) -> Tensor:
        """CE(classifier(z), m) + lambda triplet(z) + mu mean(z^2) of features [B, 72, d]."""
        transform = torch.arange(TRANSFORMS, device=z.device).repeat(len(z))
        classified = F.cross_entropy(self.classifier(z).flatten(0, 1), transform)
        gathered = self.triplet_weight * centre_triplet(z, self.margin)
        return classified + gathered + self.square_weight * z.square().mean()

    def transformed(self, images: Tensor) -> Tensor:
        """Features [B, 72, d] of all transforms of images [B, C, S, S] in [0, 1]."""
        z: Tensor = self.encoder(geometric_transforms(images).flatten(0, 1))
        return z.view(len(images), TRANSFORMS, -1)

    def project(self, embedding: Tensor) -> Tensor:
        return embedding

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        """ "goad": see ``transform_scores``. Centres are means over all training images, of the
        network as it scores; the original adds them up in the last epoch, while it still learns.
        """
        sums = [self.transformed(each / 255).double().sum(dim=0) for each in train.split(_BLOCK)]
        centres = torch.stack(sums).sum(dim=0) / len(train)
        scores = [
            transform_scores(self.transformed(each / 255), centres) for each in test.split(_BLOCK)
        ]
        return {"goad": torch.cat(scores)}


def centre_triplet(z: Tensor, margin: float) -> Tensor:
    """Mean of max(0, |z_m - c_m|^2 + margin - min_m' |z_m - c_m'|^2), m' other than m.

    z is [B, M, d], and c_m its mean over the batch, through which the gradient passes too.
    """
    distances = _squared_distances(z, z.mean(dim=0))
    own = distances.diagonal(dim1=1, dim2=2)
    same = torch.eye(z.shape[1], dtype=torch.bool, device=z.device)
    nearest_other = distances.masked_fill(same, float("inf")).amin(dim=2)
    return (own + margin - nearest_other).clamp_min(0).mean()


def transform_scores(z: Tensor, centres: Tensor) -> Tensor:
    """-sum_m log softmax_m'(-|z_m - c_m'|^2) at m' = m: float64 [B], at least 0; high is anomalous.

    z is [B, M, d], and centres [M, d] the means of z over the training images.
    """
    logits = -_squared_distances(z.double(), centres.double())
    return -logits.log_softmax(dim=2).diagonal(dim1=1, dim2=2).sum(dim=1)


def _squared_distances(z: Tensor, centres: Tensor) -> Tensor:
    """|z_m - c_m'|^2, [B, M, M'], of z [B, M, d] and c [M', d], without their differences, which
    would take M' times the memory of z.
    """
    with torch.autocast(z.device.type, enabled=False):
        squares = z.square().sum(dim=2, keepdim=True) + centres.square().sum(dim=1)
        return (squares - 2 * z @ centres.T).clamp_min(0)
