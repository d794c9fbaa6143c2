"""Independent random streams from one seed: each is named, none is global."""

import hashlib

import torch


def derive_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the named stream, the same on every machine and version."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(device: torch.device, seed: int, *stream: str | int) -> torch.Generator:
    """A fresh generator for the named stream on a device."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *stream))
