"""Independent random streams from one seed: each is named, none is global."""

import hashlib
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def derive_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the named stream, the same on every machine and version."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(device: torch.device, seed: int, *stream: str | int) -> torch.Generator:
    """A fresh generator for the named stream on a device."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *stream))


class Seeded(TorchDispatchMode):
    """Inside of it, this thread draws from a generator of the CPU of its own, with this seed.

    Initial weights are drawn so, with the numbers that torch's global generator would give. That
    one is shared with all threads: others seed it, and a compiler puts back the state that it saw.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator().manual_seed(seed)

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Or torch would set a flag of the whole process, at which compilers in other threads give
        up.
        """
        return True

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in function.tags and kwargs.get("generator") is None:
            if all(each.name != "generator" for each in function._schema.arguments):
                function = function.overloadpacket.generator  # of torch.rand, say
            kwargs = {**kwargs, "generator": self._generator}
        return function(*args, **kwargs)
