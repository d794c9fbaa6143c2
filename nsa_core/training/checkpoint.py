"""A training's state: written whole or not at all, read without executing anything."""

import io
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from zipfile import BadZipFile, ZipFile

import torch

from nsa_core.errors import InputError

VERSION = 1

_ARCHIVE = b"PK\x03\x04"
_NOT_WHOLE = (
    BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError, struct.error, zlib.error
)  # fmt: skip


class UnusableCheckpointError(InputError):
    """A checkpoint that cannot be continued; without it the training gives the same numbers."""


class WholeFile(Protocol):
    """What is not on a disk but behaves as a ``Path`` does, and is replaced whole by nature."""

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
        with partial.open("wb") as stream:
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
        with path.open("rb") if isinstance(path, Path) else io.BytesIO(path.read_bytes()) as stream:
            _check_whole(stream)
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint {path} cannot be read: it holds more than tensors and plain values, which "
            f"could run code ({str(error).splitlines()[0]}); {advice}"
        ) from error
    except _NOT_WHOLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnusableCheckpointError(
            f"checkpoint {path} cannot be read ({reason}); {advice}"
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


def _check_whole(stream: BinaryIO) -> None:
    """Compare every part with its checksum, which torch writes and does not read."""
    if _ARCHIVE.startswith(stream.read(len(_ARCHIVE))):  # else torch says what it is
        with ZipFile(stream) as archive:
            if damaged := archive.testzip():
                raise BadZipFile(f"{damaged} is not what was written")
    stream.seek(0)
