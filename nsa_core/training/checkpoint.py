"""A training's state on disk: written whole or not at all, read without executing anything."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from nsa_core.errors import InputError

VERSION = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write to a temporary name beside ``path``, sync, rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            torch.save({"version": VERSION, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path, config: str, fingerprint: str) -> dict[str, Any] | None:
    """The state in ``path``, None if there is no such file.

    Raises:
        InputError: the file is damaged, holds more than plain tensors and values, or belongs to
            another configuration, data set or version.
    """
    if not path.exists():
        return None
    advice = "move it away to train from the start"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"checkpoint {path} cannot be read ({reason}); {advice}") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        found = state.get("version") if isinstance(state, dict) else None
        raise InputError(f"checkpoint {path} is of version {found}, need {VERSION}; {advice}")
    for key, wanted in (("config", config), ("fingerprint", fingerprint)):
        if state.get(key) != wanted:
            raise InputError(
                f"checkpoint {path} belongs to another {key} ({state.get(key)} instead of "
                f"{wanted}); {advice}"
            )
    return state
