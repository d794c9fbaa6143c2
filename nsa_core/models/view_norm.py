"""Batch norm for several views of a batch that pass the network together."""

from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class ViewBatchNorm(_BatchNorm):
    """Batch norm that, in training, sees one view at a time.

    SimSiam and BYOL pass their views one after the other, so that each is normalised by its own
    statistics. Passing them in one batch [views * B, ...], first view first, and splitting it
    here alone gives the same numbers with half the calls: every other layer works on all views
    at once. With ``views = 1`` it is torch's batch norm for any number of dimensions.

    Where torch's own kernel runs, on a CPU and in bf16, it writes each view's part of the output
    where it belongs. cuDNN's, in float32 on CUDA, cannot; a compiler sees to it by itself.
    """

    views = 1

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.views == 1:
            return super().forward(input)
        own_kernel = input.device.type == "cpu" or input.dtype == torch.bfloat16
        if own_kernel and not torch.compiler.is_compiling():
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(self.views)
            numbers = self.weight, self.bias, self.running_mean, self.running_var
            return _InParts.apply(input, *numbers, self.momentum, self.eps, self.views)  # type: ignore[no-any-return]
        return torch.cat([super(ViewBatchNorm, self).forward(v) for v in input.chunk(self.views)])

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions."""


class _InParts(torch.autograd.Function):
    """Batch norm of every view in training, by the kernel and in the order of one after the other.

    The running statistics are updated.
    """

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
        views: int,
    ) -> Tensor:
        output = torch.empty_like(input)
        statistics: list[Tensor] = []
        for given, part in zip(input.chunk(views), output.chunk(views), strict=True):
            own = torch.empty_like(running_mean), torch.empty_like(running_var)
            torch.native_batch_norm(
                given, weight, bias, running_mean, running_var, True, momentum, eps,
                out=(part, *own),
            )  # fmt: skip
            statistics += own
        ctx.save_for_backward(input, weight, *statistics)
        ctx.eps, ctx.views = eps, views
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, *statistics = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        parts = zip(
            gradients[0].chunk(ctx.views), input.chunk(ctx.views),
            statistics[::2], statistics[1::2], strict=True,
        )  # fmt: skip
        found = [
            torch.ops.aten.native_batch_norm_backward(
                gradient, given, weight, None, None, mean, scale, True, ctx.eps, wanted
            )
            for gradient, given, mean, scale in parts
        ]
        of_input, of_weight, of_bias = zip(*found, strict=True)
        return (
            torch.cat(of_input) if wanted[0] else None,
            reduce(torch.add, reversed(of_weight)) if wanted[1] else None,
            reduce(torch.add, reversed(of_bias)) if wanted[2] else None,
            *[None] * 5,
        )


def separate_views(module: nn.Module, views: int) -> None:
    """Set the number of views per training batch on every batch norm of the module."""
    for each in module.modules():
        if isinstance(each, ViewBatchNorm):
            each.views = views
