"""Random views of images: batched on any device, every image with its own parameters.

Sampling is apart from applying, so that parameters can be replayed. The distributions are those
of torchvision's RandomResizedCrop, RandomHorizontalFlip, ColorJitter (in a random order for each
image, applied with a probability) and RandomGrayscale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nsa_core.errors import InputError, real

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision
_CROP_ATTEMPTS = 10
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A recipe. The default is SimSiam's for 32x32 images (METHODS: ``simsiam32``).

    Attributes:
        crop_scale: range of the crop's share of the area, within (0, 1].
        crop_ratio: range of the crop's width / height.
        flip: probability of a horizontal flip.
        brightness, contrast, saturation: a factor is drawn from [max(0, 1 - x), 1 + x].
        hue: a shift is drawn from [-x, x] turns, x in [0, 0.5].
        jitter: probability that the four above are applied at all.
        grey: probability of turning grey.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter: float = 0.8
    grey: float = 0.2

    def __post_init__(self) -> None:
        for name, top in (("crop_scale", 1.0), ("crop_ratio", 1e6)):
            pair = getattr(self, name)
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise InputError(f"augment.{name} is {pair!r}; need two numbers, low and high")
            low, high = (real(f"augment.{name}", each) for each in pair)
            if not 0 < low <= high <= top:
                raise InputError(f"augment.{name} is {low, high}; need 0 < low <= high <= {top:g}")
            object.__setattr__(self, name, (low, high))
        limits = {"hue": 0.5, "flip": 1.0, "jitter": 1.0, "grey": 1.0}
        for name in ("brightness", "contrast", "saturation", *limits):
            value = real(f"augment.{name}", getattr(self, name))
            top = limits.get(name, float("inf"))
            if not 0 <= value <= top:
                raise InputError(f"augment.{name} is {value}; need a number in [0, {top}]")
            object.__setattr__(self, name, value)


class ViewParams(NamedTuple):
    """What happens to each of B images; all tensors have B rows."""

    top: Tensor  # int64, first row of the crop
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor  # bool
    jitter: Tensor  # bool: are the four colour steps applied?
    order: Tensor  # int64 [B, 4], a permutation of brightness, contrast, saturation, hue
    factor: Tensor  # float [B, 4], three factors and the hue shift in turns
    grey: Tensor  # bool


def sample_views(
    recipe: Augmentation, count: int, size: tuple[int, int], generator: torch.Generator
) -> ViewParams:
    """Parameters for ``count`` images of ``size`` (height, width), on the generator's device."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=generator.device)

    top, left, height, width = _sample_crops(recipe, size, uniform(4, count, _CROP_ATTEMPTS))
    strength = torch.tensor(
        [recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue],
        device=generator.device,
    )
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0], device=generator.device)
    floor = torch.tensor([0.0, 0.0, 0.0, -0.5], device=generator.device)
    low = torch.maximum(neutral - strength, floor)
    return ViewParams(
        top,
        left,
        height,
        width,
        flip=uniform(count) < recipe.flip,
        jitter=uniform(count) < recipe.jitter,
        order=uniform(count, 4).argsort(dim=1),
        factor=low + (neutral + strength - low) * uniform(count, 4),
        grey=uniform(count) < recipe.grey,
    )


def _sample_crops(
    recipe: Augmentation, size: tuple[int, int], draws: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The first of ten random boxes that fits, else the centre; ``draws`` is uniform [4, B, 10]."""
    rows, columns = size
    low, high = recipe.crop_scale
    area = rows * columns * (low + (high - low) * draws[0])
    log_ratio = torch.tensor(recipe.crop_ratio, device=draws.device).log()
    ratio = (log_ratio[0] + (log_ratio[1] - log_ratio[0]) * draws[1]).exp()
    width = (area * ratio).sqrt().round().long()
    height = (area / ratio).sqrt().round().long()
    fits = (width > 0) & (width <= columns) & (height > 0) & (height <= rows)
    top = (draws[2] * (rows - height + 1)).floor().long()
    left = (draws[3] * (columns - width + 1)).floor().long()
    first = fits.int().argmax(dim=1, keepdim=True)
    any_fits = fits.any(dim=1)
    centre_height, centre_width = _centre_box(recipe, size)
    fallback = (
        (rows - centre_height) // 2,
        (columns - centre_width) // 2,
        centre_height,
        centre_width,
    )
    chosen = [
        torch.where(any_fits, value.gather(1, first).squeeze(1), other)
        for value, other in zip((top, left, height, width), fallback, strict=True)
    ]
    return chosen[0], chosen[1], chosen[2], chosen[3]


def _centre_box(recipe: Augmentation, size: tuple[int, int]) -> tuple[int, int]:
    """The largest centred box whose ratio is allowed: torchvision's way out."""
    rows, columns = size
    low, high = recipe.crop_ratio
    if columns / rows < low:
        return round(columns / low), columns
    if columns / rows > high:
        return rows, round(rows * high)
    return rows, columns


def apply_views(images: Tensor, params: ViewParams) -> Tensor:
    """Apply the parameters to uint8 images [B, C, H, W]; returns float32 in [0, 1].

    Grey images (C = 1) skip what cannot change them: saturation, hue and turning grey. Stays in
    float32 under autocast.
    """
    with torch.autocast(images.device.type, enabled=False):
        return _apply(images, params)


def _apply(images: Tensor, params: ViewParams) -> Tensor:
    views = _crop_and_flip(images.float().div_(255), params)
    colour = views.shape[1] == 3
    steps: dict[int, Callable[[Tensor, Tensor], Tensor]] = {
        _BRIGHTNESS: _adjust_brightness,
        _CONTRAST: _adjust_contrast,
    }
    if colour:
        steps |= {_SATURATION: _adjust_saturation, _HUE: _shift_hue}
    for position in range(4):
        for kind, step in steps.items():
            chosen = params.jitter & (params.order[:, position] == kind)
            factor = params.factor[:, kind, None, None, None]
            views = _where(chosen, step, views, factor)
    if colour:
        views = torch.where(params.grey[:, None, None, None], _luma(views), views)
    return views


def augment(images: Tensor, recipe: Augmentation, generator: torch.Generator) -> Tensor:
    """One random view of each uint8 image [B, C, H, W]; float32 in [0, 1]."""
    size = (images.shape[2], images.shape[3])
    return apply_views(images, sample_views(recipe, len(images), size, generator))


def _crop_and_flip(images: Tensor, params: ViewParams) -> Tensor:
    """Bilinear resize of each box to full size, as two small matrix products an image."""
    rows = _resize_matrix(params.top, params.height, images.shape[2])
    columns = _resize_matrix(params.left, params.width, images.shape[3])
    columns = torch.where(params.flip[:, None, None], columns.flip(1), columns)
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _resize_matrix(start: Tensor, length: Tensor, size: int) -> Tensor:
    """[B, size, size]: row i holds the bilinear weights of output pixel i, inside the box only."""
    pixel = torch.arange(size, device=start.device, dtype=torch.float32)
    inside = (pixel + 0.5) * (length[:, None] / size) - 0.5
    inside = torch.minimum(inside.clamp_min(0), length[:, None] - 1.0)
    source = start[:, None] + inside
    return (1 - (source[:, :, None] - pixel).abs()).clamp_min_(0)


def _where(
    chosen: Tensor, step: Callable[[Tensor, Tensor], Tensor], views: Tensor, factor: Tensor
) -> Tensor:
    """The step on the chosen images: by index on a CPU, without a host sync elsewhere."""
    if views.device.type != "cpu":
        return torch.where(chosen[:, None, None, None], step(views, factor), views)
    rows = chosen.nonzero().squeeze(1)
    return views.index_copy_(0, rows, step(views[rows], factor[rows]))


def _luma(views: Tensor) -> Tensor:
    if views.shape[1] == 1:
        return views
    red, green, blue = views.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).unsqueeze(1)


def _adjust_brightness(views: Tensor, factor: Tensor) -> Tensor:
    return (factor * views).clamp_(0, 1)


def _adjust_contrast(views: Tensor, factor: Tensor) -> Tensor:
    mean = _luma(views).mean(dim=(1, 2, 3), keepdim=True)
    return (factor * views + (1 - factor) * mean).clamp_(0, 1)


def _adjust_saturation(views: Tensor, factor: Tensor) -> Tensor:
    return (factor * views + (1 - factor) * _luma(views)).clamp_(0, 1)


def _shift_hue(views: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB in HSV space, keeping value and saturation."""
    value, brightest = views.max(dim=1)
    chroma = value - views.amin(dim=1)
    red, green, blue = views.unbind(1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    from_red = ((green - blue) / safe) % 6
    from_green = (blue - red) / safe + 2
    from_blue = (red - green) / safe + 4
    sixths = torch.where(
        brightest == 0, from_red, torch.where(brightest == 1, from_green, from_blue)
    )
    sixths = sixths + 6 * turns.squeeze(1)
    # f(n) = V - C max(0, min(k, 4 - k, 1)) with k = (n + H) mod 6, n = 5, 3, 1 for R, G, B
    channels = []
    for offset in (5, 3, 1):
        k = (sixths + offset) % 6
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1))
    return torch.stack(channels, dim=1)
