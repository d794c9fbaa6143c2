"""Apply view parameters to images; pixel-equal to torchvision's transforms.

Each image has its four colour steps in an order of its own. Three of them are one formula, so
seven steps hold every order: that formula three times, the hue, and the formula three times again,
of which an image takes those that come before and after its hue.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from nsa_core.augment.sample import ViewParams, plus_product

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision
_SATURATION, _HUE = 2, 3  # after brightness and contrast
_BLOCK = 3 * 2**16  # numbers: 64 views of 32x32 in colour


class Grid(NamedTuple):
    """The pixels of images [H, W], L the larger of both, and the numbers that colours meet."""

    sizes: Tensor  # [2, 1, 1], H and W
    pixel: Tensor  # [L], 0, 1, ...
    middle: Tensor  # [L], 0.5, 1.5, ...
    mirrored: Tensor  # [2, 1, L], the same from the other side
    across: Tensor  # [2, 1], does a flip turn this side round?
    zero: Tensor  # [1]
    two: Tensor
    four: Tensor
    green: Tensor  # [1], weight in the luma
    blue: Tensor
    mixes: Tensor  # [4, 2], does a step mix in the luma, does it mix in its mean?
    offsets: Tensor  # [3, 1, 1], n in the hue's formula for them


def apply_views(images: Tensor, params: ViewParams) -> Tensor:
    """Views of uint8 images [B, C, H, W] by N = V * B parameters; float32 [N, C, H, W] in [0, 1].

    Grey images (C = 1) skip what cannot change them: saturation, hue and turning grey. Stays in
    float32 under autocast.
    """
    return apply_on(images, params, grid((images.shape[2], images.shape[3]), images.device))


def apply_on(images: Tensor, params: ViewParams, grid: Grid) -> Tensor:
    """The same on the grid of these images; on a CPU in blocks that stay in its cache."""
    count, block = len(params.top), max(1, _BLOCK // images[0].numel())
    with torch.autocast(images.device.type, enabled=False):
        if not _eager_on_cpu(images) or count <= block:
            return _apply(images, params, grid)
        images = images.repeat(count // len(images), 1, 1, 1)
        blocks = zip(*(each.split(block) for each in (images, *params)), strict=True)
        return torch.cat([_apply(some, ViewParams(*own), grid) for some, *own in blocks])


def _eager_on_cpu(images: Tensor) -> bool:
    return images.device.type == "cpu" and not torch.compiler.is_compiling()


def _apply(images: Tensor, params: ViewParams, grid: Grid) -> Tensor:
    views = _jitter(_crop_and_flip(images, params, grid), params, grid)
    if views.shape[1] == 3:
        views = torch.where(params.grey[:, None, None, None], _luma(views, grid), views)
    return views


def _crop_and_flip(images: Tensor, params: ViewParams, grid: Grid) -> Tensor:
    """Bilinear resize of each box to full size, as two small matrix products a view."""
    count, channels, height, width = images.shape
    rows, columns = _resize_matrices(params, grid)
    rows, columns = rows[:, :height, :height], columns[:, :width, :width]
    # [N, H, C * W] and [N, H * C, W]: all channels in one product
    lines = images.transpose(1, 2).flatten(2) / 255
    lines = lines.expand(len(rows) // count, -1, -1, -1).flatten(0, 1)
    high = (rows @ lines).unflatten(2, (channels, width)).flatten(1, 2)
    views: Tensor = (high @ columns.transpose(1, 2)).unflatten(1, (height, channels))
    return views.transpose(1, 2).contiguous()


def _resize_matrices(params: ViewParams, grid: Grid) -> Tensor:
    """[2, N, L, L], for rows and for columns: row i holds the bilinear weights of output pixel i,
    inside the box only.
    """
    start = torch.stack([params.top, params.left])[..., None]
    length = torch.stack([params.height, params.width])[..., None]
    flipped = (params.flip & grid.across)[..., None]
    middle = torch.where(flipped, grid.mirrored, grid.middle)
    inside = (middle * (length / grid.sizes)).sub_(0.5).clamp_(grid.zero, length - 1.0)
    distance = ((start + inside)[..., None] - grid.pixel).abs_()
    return (1 - distance).clamp_min_(0)


def _jitter(views: Tensor, params: ViewParams, grid: Grid) -> Tensor:
    """The colour steps of each view in its own order."""
    order, jitter = params.order, params.jitter[:, None]
    own = params.factor[..., None]
    mixed = torch.cat([own, (1 - own) * grid.mixes], dim=2)
    mixed = mixed.gather(1, order[..., None].expand(-1, -1, 3))

    def mix(views: Tensor, chosen: Tensor, position: int) -> Tensor:
        return _where(chosen[:, position], _mix, views, mixed[:, position], grid)

    if views.shape[1] == 1:
        for position in range(4):
            views = mix(views, jitter & (order < _SATURATION), position)
        return views
    is_hue = order == _HUE
    hues = is_hue.cumsum(1)  # up to and with a position
    before, after = jitter & (hues == 0), jitter & (hues > is_hue)
    for position in (0, 1, 2):
        views = mix(views, before, position)
    views = _where(params.jitter, _shift_hue, views, params.factor[:, _HUE], grid)
    for position in (1, 2, 3):
        views = mix(views, after, position)
    return views


def _where(
    chosen: Tensor,
    step: Callable[[Tensor, Tensor, Grid], Tensor],
    views: Tensor,
    numbers: Tensor,
    grid: Grid,
) -> Tensor:
    """Apply a step to the chosen views: by index on a CPU, without a host sync elsewhere."""
    if not _eager_on_cpu(views):
        return torch.where(chosen[:, None, None, None], step(views, numbers, grid), views)
    rows = chosen.nonzero().squeeze(1)
    return views.index_copy_(0, rows, step(views[rows], numbers[rows], grid))


def _mix(views: Tensor, numbers: Tensor, grid: Grid) -> Tensor:
    """Brightness, contrast or saturation: a sum of the view, its luma and the mean of that, with
    the factors [N, 3].
    """
    own, of_luma, of_mean = numbers[..., None, None, None].unbind(1)
    luma = _luma(views, grid)
    mean = luma.mean(dim=(1, 2, 3), keepdim=True)
    mixed = plus_product(own * views, of_luma, luma)
    return plus_product(mixed, of_mean, mean).clamp_(0, 1)


def _luma(views: Tensor, grid: Grid) -> Tensor:
    if views.shape[1] == 1:
        return views
    red, green, blue = views.split(1, dim=1)
    return plus_product(plus_product(_LUMA[0] * red, grid.green, green), grid.blue, blue)


def _shift_hue(views: Tensor, turns: Tensor, grid: Grid) -> Tensor:
    """Turn the hue of RGB in HSV space, keeping value and saturation."""
    red, green, blue = views.split(1, dim=1)
    value = views.amax(dim=1, keepdim=True)
    chroma = value - views.amin(dim=1, keepdim=True)
    safe = chroma.masked_fill(chroma == 0, 1.0)
    # in sixths of a turn from red, as seen from the brightest of the three
    is_red, is_green = red == value, green == value
    between = torch.where(is_red, green - blue, torch.where(is_green, blue - red, red - green))
    start = torch.where(is_red, grid.zero, torch.where(is_green, grid.two, grid.four))
    hue = _modulo_6(between / safe + start)
    hue = hue + 6 * turns[:, None, None, None]
    # f(n) = V - C max(0, min(k, 4 - k, 1)) with k = (n + H) mod 6, n = 5, 3, 1 for R, G, B
    k = _modulo_6(hue + grid.offsets)
    return value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)


def _modulo_6(x: Tensor) -> Tensor:
    """The bits of x % 6 for the small numbers here; torch's own is slow on a CPU."""
    return torch.sub(x, (x / 6).floor_(), alpha=6)


@cache
def grid(size: tuple[int, int], device: torch.device) -> Grid:
    """Made once, and never dropped, like ``distributions``."""

    def table(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    sizes = table(*size).view(2, 1, 1)
    pixel = torch.arange(max(size), dtype=torch.float32, device=device)
    return Grid(
        sizes=sizes,
        pixel=pixel,
        middle=pixel + 0.5,
        mirrored=sizes - (pixel + 0.5),
        across=table(0, 1).view(2, 1) > 0,
        zero=table(0),
        two=table(2),
        four=table(4),
        green=table(_LUMA[1]),
        blue=table(_LUMA[2]),
        mixes=table(0, 0, 0, 1, 1, 0, 0, 0).view(4, 2),
        offsets=table(5, 3, 1).view(3, 1, 1),
    )
