"""Sampling of view parameters, separate for every image and separate from applying them."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from nsa_core.augment.recipe import Augmentation

_CROP_ATTEMPTS = 10
_CROP, _FLAG, _STEPS = 4 * _CROP_ATTEMPTS, 1, 4
_PARTS = (_CROP, _FLAG, _FLAG, _STEPS, _STEPS, _FLAG)
"""How many numbers an image takes: for its crop, flip, jitter, order, factors and grey."""


class ViewParams(NamedTuple):
    """What happens to each of N views; all tensors have N rows."""

    top: Tensor  # int64, first row of the crop
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor  # bool
    jitter: Tensor  # bool: are the four colour steps applied?
    order: Tensor  # int64 [N, 4], a permutation of brightness, contrast, saturation, hue
    factor: Tensor  # float [N, 4], three factors and the hue shift in turns
    grey: Tensor  # bool


class Distributions(NamedTuple):
    """A recipe's numbers for images [H, W], those that tensors meet on a device."""

    flip: float  # probabilities
    jitter: float
    grey: float
    area: int  # H * W
    crop_low: Tensor  # [2, 1, 1, 1], of the share of the area and the logarithm of the ratio
    crop_span: Tensor  # the same, from the lowest to the highest
    least: Tensor  # [1], the shortest side
    most: Tensor  # [2, 1, 1, 1], the longest: H and W
    room: Tensor  # [2, 1, 1], H + 1 and W + 1
    centre: Tensor  # [4, 1, 1], top, left, height and width of the box where none fits
    factor_low: Tensor  # [4], of the three factors and the hue shift
    factor_span: Tensor


def sample_views(
    recipe: Augmentation,
    count: int,
    size: tuple[int, int],
    generator: torch.Generator,
    views: int = 1,
) -> ViewParams:
    """Parameters for ``views`` views of ``count`` images of ``size`` (height, width), on the
    generator's device: N = views * count, the first view of all images first.
    """
    draws = draw(count, views, generator)
    return parameters(draws, distributions(recipe, size, generator.device))


def draw(count: int, views: int, generator: torch.Generator) -> Tensor:
    """All randomness of the views of ``count`` images: uniform numbers [views, count * 51].

    On a CPU they are those that one call for every view, and in it for every part, would give.
    """
    shape = views, count * sum(_PARTS)
    return torch.rand(shape, generator=generator, device=generator.device)


def parameters(draws: Tensor, recipe: Distributions) -> ViewParams:
    """What the numbers of ``draw`` mean; few operations, each on the parameters of all views."""
    views, count = len(draws), draws.shape[1] // sum(_PARTS)
    crop, flip, jitter, order, factor, grey = draws.split([count * n for n in _PARTS], dim=1)
    box = _boxes(crop.view(views, 4, count, _CROP_ATTEMPTS).transpose(0, 1), recipe)
    steps = factor.view(views, count, _STEPS)
    top, left, height, width = box.flatten(1).unbind()
    return ViewParams(
        top,
        left,
        height,
        width,
        flip=(flip < recipe.flip).flatten(),
        jitter=(jitter < recipe.jitter).flatten(),
        order=order.view(views, count, _STEPS).argsort(dim=2).flatten(0, 1),
        factor=plus_product(recipe.factor_low, recipe.factor_span, steps).flatten(0, 1),
        grey=(grey < recipe.grey).flatten(),
    )


def plus_product(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """x + a * b: one operation, but two on a CPU, where one would round otherwise than the two that
    recorded trainings were made with.
    """
    return x + a * b if x.device.type == "cpu" else torch.addcmul(x, a, b)


def _boxes(draws: Tensor, recipe: Distributions) -> Tensor:
    """The first of ten random boxes that fits, else the centre, from uniform [4, V, B, 10].

    Int64 [4, V, B]: top, left, height and width.
    """
    share, log_ratio = plus_product(recipe.crop_low, recipe.crop_span, draws[:2])
    area, ratio = recipe.area * share, log_ratio.exp()
    sides = torch.stack([area / ratio, area * ratio]).sqrt_().round_()
    fits = (sides.clamp(recipe.least, recipe.most) == sides).all(dim=0)
    any_fits, first = fits.float().max(dim=2, keepdim=True)
    side, place = (
        each.gather(3, first.expand(2, -1, -1, -1)).squeeze(3) for each in (sides, draws[2:])
    )
    start = (place * (recipe.room - side)).floor_()
    return torch.where(any_fits.squeeze(2) > 0, torch.cat([start, side]), recipe.centre).long()


@cache
def distributions(
    recipe: Augmentation, size: tuple[int, int], device: torch.device
) -> Distributions:
    """Made once: a tensor from Python values waits for the device, and here it would every view.

    None is ever dropped: captured steps read them where they lie.
    """

    def table(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    rows, columns = size
    strength = table(recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    neutral = table(1, 1, 1, 0)
    factor_low = torch.maximum(neutral - strength, table(0, 0, 0, -0.5))
    factor_span = neutral + strength - factor_low  # done, for other streams too, when a table is
    log_low, log_high = table(*recipe.crop_ratio).log().split(1)
    low, high = recipe.crop_scale
    height, width = _centre_box(recipe, size)
    centre = table((rows - height) // 2, (columns - width) // 2, height, width)
    return Distributions(
        flip=recipe.flip,
        jitter=recipe.jitter,
        grey=recipe.grey,
        area=rows * columns,
        crop_low=torch.cat([table(low), log_low]).view(2, 1, 1, 1),
        crop_span=torch.cat([table(high - low), log_high - log_low]).view(2, 1, 1, 1),
        least=table(1),
        most=table(*size).view(2, 1, 1, 1),
        room=table(rows + 1, columns + 1).view(2, 1, 1),
        centre=centre.view(4, 1, 1),
        factor_low=factor_low,
        factor_span=factor_span,
    )


def _centre_box(recipe: Augmentation, size: tuple[int, int]) -> tuple[int, int]:
    """The largest centred box with an allowed ratio: torchvision's fallback."""
    rows, columns = size
    low, high = recipe.crop_ratio
    if columns / rows < low:
        return round(columns / low), columns
    if columns / rows > high:
        return rows, round(rows * high)
    return rows, columns
