"""Checkpoints: written atomically, loaded without executing anything."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch

from nsa_core.errors import InputError
from nsa_core.torch_file import NotTensorsError, NotWholeError, read_torch_file

VERSION = 1


class UnusableCheckpointError(InputError):
    """The checkpoint cannot be resumed; training from scratch gives the same numbers."""


class WholeFile(Protocol):
    """A path-like object that is not on disk and whose writes are atomic."""

    def exists(self) -> bool: ...
    def read_bytes(self) -> bytes: ...
    def write_bytes(self, data: bytes) -> None: ...


CheckpointFile = Path | WholeFile


def save_checkpoint(path: CheckpointFile, state: dict[str, Any]) -> None:
    """Replace the checkpoint: on a disk, through a temporary name beside ``path`` that is synced
    and renamed.
    """
    if not isinstance(path, Path):
        buffer = io.BytesIO()
        torch.save({"version": VERSION, **state}, buffer)
        path.write_bytes(buffer.getvalue())
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)  # of a process of this number that was killed
        with partial.open("xb") as stream:
            torch.save({"version": VERSION, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: CheckpointFile, config: str, fingerprint: str) -> dict[str, Any] | None:
    """The state in ``path``, None if there is no such file.

    Raises:
        UnusableCheckpointError: the file is damaged, or belongs to another configuration, data set
            or version.
        InputError: it holds more than plain tensors and values, and somebody should look at it.
    """
    if not path.exists():
        return None
    advice = "move it away to train from the start"
    try:
        with _opened(path) as stream:
            state = read_torch_file(stream)
    except NotTensorsError as error:
        raise InputError(
            f"checkpoint {path} cannot be read: it holds more than tensors and plain values, which "
            f"could run code ({error}); {advice}"
        ) from error
    except (NotWholeError, OSError, RuntimeError) as error:  # the last from a storage
        raise UnusableCheckpointError(
            f"checkpoint {path} cannot be read ({error}); {advice}"
        ) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        found = state.get("version") if isinstance(state, dict) else None
        raise UnusableCheckpointError(
            f"checkpoint {path} is of version {found}, need {VERSION}; {advice}"
        )
    for key, wanted in (("config", config), ("fingerprint", fingerprint)):
        if state.get(key) != wanted:
            raise UnusableCheckpointError(
                f"checkpoint {path} belongs to another {key} ({state.get(key)} instead of "
                f"{wanted}); {advice}"
            )
    return state


def _opened(path: CheckpointFile) -> BinaryIO:
    """For reading; symbolic links are not followed, and a pipe is not waited for."""
    if not isinstance(path, Path):
        return io.BytesIO(path.read_bytes())
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
