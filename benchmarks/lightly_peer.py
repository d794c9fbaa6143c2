"""SimSiam of lightly 1.6 around this project's encoder: the peer of ``cpu_training.py``.

lightly is no dependency of the project; importing this fails where it is not installed. Its model,
loss, transform and data set are used as its documentation has them, with SimSiam's recipe for
32x32 images and plain Adam. The encoder is ours, because lightly's own examples use smaller ones,
and the predictor has three layers as ours: the networks are equal but for the bias of one layer.
"""

from collections.abc import Callable

import lightly
import torch
from lightly.data import LightlyDataset
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import ProjectionHead, SimSiamProjectionHead
from lightly.transforms import SimSiamTransform
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nsa_core import TrialConfig, methods
from nsa_core.models import ResNet
from nsa_core.training.precision import autocast

CPU = torch.device("cpu")
VERSION = lightly.__version__


class SimSiam(nn.Module):
    """As in lightly's documentation, one view at a time."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        sizes = {**methods.options("simsiam"), **config.method_options}
        wide, narrow = sizes["projector_dim"], sizes["predictor_dim"]
        self.backbone = ResNet(config.depth, config.width, config.stem)
        self.projection_head = SimSiamProjectionHead(self.backbone.features, wide, wide)
        self.prediction_head = ProjectionHead(
            [
                (wide, narrow, nn.BatchNorm1d(narrow), nn.ReLU()),
                (narrow, narrow, nn.BatchNorm1d(narrow), nn.ReLU()),
                (narrow, wide, None, None),
            ]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.projection_head(self.backbone(x).flatten(start_dim=1))
        return z.detach(), self.prediction_head(z)


def training_step(config: TrialConfig) -> Callable[[Tensor, Tensor], None]:
    """A step on two batches of views, in the configuration's precision and memory layout."""
    model, criterion = SimSiam(config).train(), NegativeCosineSimilarity()
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), config.learning_rate)

    def step(x0: Tensor, x1: Tensor) -> None:
        with autocast(CPU, config.precision):
            z0, p0 = model(x0)
            z1, p1 = model(x1)
            loss = 0.5 * (criterion(z0, p1) + criterion(z1, p0))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def loader(images: Tensor, batch: int, workers: int) -> DataLoader:
    """Shuffled batches of two views each, made in so many processes, which stay; 0 is this one."""
    size = images.shape[-1]
    transform = SimSiamTransform(
        input_size=size, cj_strength=1.0, gaussian_blur=0.0, normalize=None
    )  # the encoder scales its input itself
    return DataLoader(
        LightlyDataset.from_torch_dataset(_Pictures(images), transform=transform),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


class _Pictures(Dataset[tuple[list[Tensor], int]]):
    """Images in memory, transformed and handed out as torchvision's data sets do it."""

    transform: Callable[[Image.Image], list[Tensor]]  # lightly sets it

    def __init__(self, images: Tensor) -> None:
        self.images = images.permute(0, 2, 3, 1).numpy()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        return self.transform(Image.fromarray(self.images[index])), 0
