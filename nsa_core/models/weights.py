"""Files of pre-trained weights: found, told apart, and read without executing anything."""

import hashlib
import importlib.util
import io
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nsa_core.errors import InputError, first_line
from nsa_core.torch_file import NotTensorsError, NotWholeError, read_torch_file

_NESTED = ("state_dict", "model")  # where training scripts put the weights among other things
_PARALLEL = "module."  # what DataParallel puts before every name
_SHOWN = 3


def weights_path(file: str) -> Path:
    """A file of weights by its path, relative to ``$NSA_WEIGHTS`` or else to this folder.

    Raises:
        InputError: there is no such file.
    """
    path = Path(os.environ.get("NSA_WEIGHTS", ""), file)
    if not path.is_file():
        raise InputError(
            f"weights {str(path)!r} do not exist; give a file of weights (.pth or .safetensors), "
            "relative to $NSA_WEIGHTS or to the current folder"
        )
    return path


def weights_digest(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal digits."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Tensors by name.

    Raises:
        InputError: it is not the file of this digest, not whole, or not of tensors alone.
    """
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise InputError(
            f"weights {path} are not those of the configuration (SHA-256 {found[:12]}..., "
            f"configured {sha256[:12]}...)"
        )
    held = _safetensors(path, content) if path.suffix == ".safetensors" else _torch(path, content)
    for key in _NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not held or not _all_tensors(held):
        raise InputError(f"weights {path} hold no state dict (dense real tensors by name)")
    return {name.removeprefix(_PARALLEL): tensor for name, tensor in held.items()}


def _torch(path: Path, content: bytes) -> Any:
    try:
        return read_torch_file(io.BytesIO(content))
    except NotTensorsError as error:
        raise InputError(
            f"weights {path} are refused: they hold more than tensors and plain values, which "
            f"could run code ({error}); save the state dict alone"
        ) from error
    except NotWholeError as error:
        raise InputError(f"weights {path} cannot be read ({error}); fetch them again") from error


def _safetensors(path: Path, content: bytes) -> Any:
    if importlib.util.find_spec("safetensors") is None:
        raise InputError(f"weights {path}: need the package safetensors (pip install safetensors)")
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise InputError(
            f"weights {path} cannot be read ({first_line(error)}); fetch them again"
        ) from error


def _all_tensors(held: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and not tensor.is_complex()
        and not tensor.is_quantized
        for name, tensor in held.items()
    )


def load_into(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    path: Path,
    name: str,
    head: tuple[str, ...],
) -> None:
    """Load weights into a network without its classifier, whose tensors begin with ``head``.

    Raises:
        InputError: they are of another architecture.
    """
    wanted = network.state_dict()
    given = {key: value for key, value in weights.items() if not key.startswith(head)}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}  # older files lack
    wrong = {
        "missing": [key for key in wanted if key not in given and key not in counters],
        "unknown": [key for key in given if key not in wanted],
        "of another shape": [
            key for key in given if key in wanted and given[key].shape != wanted[key].shape
        ],
    }
    if any(wrong.values()):
        said = [
            f"{len(keys)} {what} ({', '.join(keys[:_SHOWN])}{', ...' * (len(keys) > _SHOWN)})"
            for what, keys in wrong.items()
            if keys
        ]
        raise InputError(
            f"weights {path} are not of {name}, which has {len(wanted)} tensors: {'; '.join(said)}"
        )
    network.load_state_dict(given, strict=False)
