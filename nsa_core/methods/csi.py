"""CSI (Tack et al. 2020): contrast with rotated copies, tell the rotations, score by both."""

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsa_core.augment import Augmentation, augment
from nsa_core.errors import positive
from nsa_core.methods.method import Augment, Method
from nsa_core.methods.rotations import QUARTERS, turned, turns
from nsa_core.methods.simclr import nt_xent
from nsa_core.models import Head, NormVariant, ResNet

_TEST_CROP = 0.54  # share of the area of the crops at test time


class CSI(Method):
    """Every turn of an image is an instance of SimCLR's, and a classifier tells the turns apart.

    All four turns of an image are in the batch, each in two views: 8 views an image. They are
    turned after the view is drawn, as a flip after a turn would make 90 degrees look like 270.
    CSI's score reads the length of projections, which grows while SimCLR trains: an f-norm would
    take that away, and leave a head without batch norm hardly any signal, so there is none.

    Args:
        encoder: gives embeddings y.
        norm: "none".
        projector_dim: width of the projection; the hidden layer is as wide as the embedding.
        temperature: of the softmax over cosines, above 0.
        samples: random views of each turn that the score "csi" averages over; 40 in the paper, so
            160 passes an image, 10 in its published commands.
    """

    norms = (NormVariant.NONE,)
    square_only = True
    own_score_versions: ClassVar = {"csi": 1}
    scores_at_the_end = True
    recipe: ClassVar = {  # of its four GPUs together; its warm-up takes the rate of 0.1 to 1.0
        "norm": "none",
        "optimiser": "lars",
        "momentum": 0.9,
        "learning_rate": 1.0,
        "warmup_epochs": 10,
        "weight_decay": 1e-6,
        "batch_size": 128,
        "budget": 1000,
        "augment": Augmentation(crop_scale=(0.08, 1.0)),
    }

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        projector_dim: int = 128,
        temperature: float = 0.5,
        samples: int = 40,
    ) -> None:
        super().__init__()
        self.temperature = positive("temperature", temperature)
        self.samples = samples
        self.encoder = encoder
        width = encoder.features
        self.projector = Head(
            nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, projector_dim)
        )
        self.classifier = Head(nn.Linear(width, QUARTERS))

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        copies = images.repeat(QUARTERS, 1, 1, 1)
        views = torch.cat([turned(view) for view in augment(copies, 2).chunk(2)])
        y = self.encoder(views)
        z1, z2 = self.project(y).chunk(2)
        truth = turns(len(images), images.device).repeat(2)
        contrast = nt_xent(z1, z2, self.temperature)
        return contrast + F.cross_entropy(self.classifier(y), truth)

    def project(self, embedding: Tensor) -> Tensor:
        return self.projector(embedding)  # type: ignore[no-any-return]

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        """ "csi": CSI's Eq. 6, negated. Over the four turns, the mean of two terms: the largest
        inner product of the mean projection with a training image's direction, so cosine times
        length, and the logit of the true turn; each over its mean on training images.
        """
        crops = replace(views, crop_scale=(_TEST_CROP, _TEST_CROP))
        known, known_logit = self._means(train, crops, stream)
        found, logit = self._means(test, crops, stream)
        axes = F.normalize(known, dim=-1)
        closest = torch.cat(
            [(rows @ axes.mT).amax(dim=2) for rows in found.split(1024, dim=1)], dim=1
        )
        similarity = closest / known.norm(dim=-1).mean(dim=1, keepdim=True)
        shift = logit / known_logit.mean(dim=1, keepdim=True)
        return {"csi": -(similarity + shift).mean(dim=0)}

    def _means(
        self, images: Tensor, views: Augmentation, stream: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Of every turn and image, the projection [4, N, d] and the true turn's logit [4, N], as
        means over random views.
        """
        projections, logits = [], []
        for block in images.split(128):
            copies = block.repeat(QUARTERS, 1, 1, 1)
            y = [self.encoder(turned(augment(copies, views, stream))) for _ in range(self.samples)]
            z = torch.stack([self.project(each) for each in y]).mean(dim=0)
            own = torch.stack([self.classifier(each) for each in y]).mean(dim=0)
            projections.append(z.view(QUARTERS, len(block), -1))
            logits.append(own.view(QUARTERS, len(block), QUARTERS).diagonal(dim1=0, dim2=2).T)
        return torch.cat(projections, dim=1), torch.cat(logits, dim=1)
