"""ResNet for small images: a 3x3 stem, no max-pool, basic blocks (He et al. 2016; CSI, DROC)."""

import torch.nn.functional as F
from torch import Tensor, nn

from nsa_core.errors import InputError
from nsa_core.models.encoder import Encoder
from nsa_core.models.view_norm import ViewBatchNorm

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
STEMS = {"3x3": 1, "3x3/2": 2}  # name to stride


class BasicBlock(nn.Module):
    """conv-BN-ReLU-conv-BN plus a shortcut, then ReLU."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, 3, stride, 1, bias=False)
        self.bn1 = ViewBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = ViewBatchNorm(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_width != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_width, width, 1, stride, bias=False), ViewBatchNorm(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(Encoder):
    """ResNet with a stem for small images.

    Args:
        depth: 10, 18 or 34.
        width: channels of the stem and the first stage; 64 in the paper. Features have 8 times it.
        stem: "3x3", or "3x3/2" with stride 2 (a quarter of the work on larger images).
    """

    def __init__(self, depth: int = 18, width: int = 64, stem: str = "3x3") -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise InputError(f"depth is {depth}; known: {', '.join(map(str, BLOCKS))}")
        if width < 1:
            raise InputError(f"width is {width}; need at least 1")
        if stem not in STEMS:
            raise InputError(f"stem is {stem!r}; known: {', '.join(STEMS)}")
        self.features = 8 * width
        conv = nn.Conv2d(3, width, 3, STEMS[stem], 1, bias=False)
        self.stem = nn.Sequential(conv, ViewBatchNorm(width), nn.ReLU(inplace=True))
        stages: list[nn.Module] = []
        in_width = width
        for index, blocks in enumerate(BLOCKS[depth]):
            out_width = width * 2**index
            strides = [1 if index == 0 else 2] + [1] * (blocks - 1)
            layers = []
            for stride in strides:
                layers.append(BasicBlock(in_width, out_width, stride))
                in_width = out_width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def parts(self) -> list[nn.Module]:
        return [self.stem, *self.stages]

    def prepared(self, images: Tensor) -> Tensor:
        return (images - 0.5) / 0.5
