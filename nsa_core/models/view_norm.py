"""Batch norm for several views of a batch that pass the network together."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class ViewBatchNorm(_BatchNorm):
    """Batch norm that, in training, sees one view at a time.

    SimSiam and BYOL pass their views one after the other, so that each is normalised by its own
    statistics. Passing them in one batch [views * B, ...], first view first, and splitting it
    here alone gives the same numbers with half the calls: every other layer works on all views
    at once. With ``views = 1`` it is torch's batch norm for any number of dimensions.
    """

    views = 1

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.views == 1:
            return super().forward(input)
        return torch.cat([super(ViewBatchNorm, self).forward(v) for v in input.chunk(self.views)])

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""


def separate_views(module: nn.Module, views: int) -> None:
    """Tell every batch norm in the module how many views a training batch holds."""
    for each in module.modules():
        if isinstance(each, ViewBatchNorm):
            each.views = views
