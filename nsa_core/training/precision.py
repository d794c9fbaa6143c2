"""Training precision: the fastest format of the hardware, and its autocast context."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def best_precision(device: torch.device) -> str:
    """ "bf16" where the hardware multiplies it natively, else "fp32".

    Without AVX512-BF16 or AMX a CPU emulates bf16 at a fraction of the speed of fp32
    (benchmarks/results/cpu_precision.md).
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the encoder runs; heads and losses leave it by themselves.

    Without autocast's cache of rounded weights: a process has one, which whoever leaves autocast
    last empties, so that where gradients add up would depend on trainings beside this one.
    """
    on = precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=on, cache_enabled=False)


@contextmanager
def true_float32(device: torch.device) -> Iterator[None]:
    """Evaluations run in this context: float32 throughout, whatever the training used.

    Without autocast, and without TensorFloat-32, which torch allows CUDA's convolutions by itself
    and which rounds to 10 bits of mantissa: compact features differ in later ones. Of convolutions
    that holds for this thread alone, as a trial beside it may train with TensorFloat-32. For
    products torch has one flag a process; no training sets it, and it is put back.
    """
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False), _TrueConvolutions():
            yield
    finally:
        products.fp32_precision = before


class _TrueConvolutions(TorchFunctionMode):
    """Tells every convolution of this thread not to use TensorFloat-32.

    ``torch._convolution`` has arguments for what ``torch.conv2d`` reads from the process's flags.
    """

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function == torch.conv2d:
            return _true_conv2d(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _true_conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """``torch.conv2d`` with arguments as ``torch.nn.Conv2d`` gives them, in true float32."""
    flags = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, True
    geometry = stride, padding, dilation, False, (0, 0), groups
    return torch._convolution(images, weight, bias, *geometry, *flags, allow_tf32=False)
