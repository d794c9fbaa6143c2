"""Projectors and predictors: multi-layer perceptrons with batch norm, always in float32."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nsa_core.models.view_norm import ViewBatchNorm


class Head(nn.Sequential):
    """A stack of layers that stays in float32 under autocast.

    Compact features vary little around their mean; eight bits of mantissa would drown that.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            for layer in self:
                x = layer(x.float())
            return x


def mlp(widths: Sequence[int], *, output_bn: bool, output_bias: bool, bn_eps: float = 1e-5) -> Head:
    """Linear-BN-ReLU for each step but the last, which is Linear or Linear-BN(affine=False).

    Args:
        widths: input, hidden and output widths.
        output_bn: end with a batch norm without scale and shift, as SimSiam's projector does.
        output_bias: give the last linear layer a bias.
        bn_eps: epsilon of every batch norm.
    """
    layers: list[nn.Module] = []
    steps = list(pairwise(widths))
    for inputs, outputs in steps[:-1]:
        layers += [
            nn.Linear(inputs, outputs, bias=False),
            ViewBatchNorm(outputs, eps=bn_eps),
            nn.ReLU(inplace=True),
        ]
    layers.append(nn.Linear(*steps[-1], bias=output_bias))
    if output_bn:
        layers.append(ViewBatchNorm(widths[-1], eps=bn_eps, affine=False))
    return Head(*layers)
