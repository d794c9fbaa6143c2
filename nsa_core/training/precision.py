"""The fastest number format that the hardware has, and how a step uses it."""

from contextlib import AbstractContextManager

import torch


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
    """The context in which the encoder runs; heads and losses leave it by themselves."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
