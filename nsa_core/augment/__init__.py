"""Random views of images: batched on any device, every image with its own parameters.

Sampling is apart from applying, so that parameters can be replayed. The distributions are those
of torchvision's RandomResizedCrop, RandomHorizontalFlip, ColorJitter (in a random order for each
image, applied with a probability) and RandomGrayscale.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nsa_core.augment.apply import Grid, apply_on, apply_views, grid
from nsa_core.augment.recipe import Augmentation
from nsa_core.augment.sample import (
    Distributions,
    ViewParams,
    distributions,
    draw,
    parameters,
    sample_views,
)

__all__ = [
    "Augmentation",
    "MakeViews",
    "ViewParams",
    "apply_views",
    "augment",
    "make_views",
    "sample_views",
]

MakeViews = Callable[[Tensor, Tensor, Distributions, Grid], Tensor]


def make_views(images: Tensor, draws: Tensor, recipe: Distributions, grid: Grid) -> Tensor:
    """Views [V * B, C, H, W] by the numbers of ``draw``: what of ``augment`` can be compiled."""
    return apply_on(images, parameters(draws, recipe), grid)


def augment(
    images: Tensor,
    recipe: Augmentation,
    generator: torch.Generator,
    views: int = 1,
    make: MakeViews = make_views,
) -> Tensor:
    """Random views of each uint8 image [B, C, H, W]; float32 [views * B, C, H, W] in [0, 1].

    The first view of all images comes first. On a CPU views are those that as many calls for one
    view would give. ``make`` is ``make_views`` as it is, or compiled.
    """
    size, device = (images.shape[2], images.shape[3]), images.device
    draws = draw(len(images), views, generator)
    return make(images, draws, distributions(recipe, size, device), grid(size, device))
