"""Independent random streams from one seed: each is named, none is global."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_global = threading.Lock()


def derive_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the named stream, the same on every machine and version."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(device: torch.device, seed: int, *stream: str | int) -> torch.Generator:
    """A fresh generator for the named stream on a device."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *stream))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global generator of the CPU at this seed, and afterwards as it was.

    Initial weights are drawn from it, by one thread at a time.
    """
    with _global, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
