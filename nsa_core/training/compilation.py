"""Compilation of a step's two large parts, the encoder and the views.

Weights, their names and checkpoints stay as they are: it is the functions that are compiled. Bits
do change, so it is part of the configuration.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nsa_core.augment import MakeViews, make_views
from nsa_core.data.cache import user_cache
from nsa_core.errors import InputError
from nsa_core.methods import Method
from nsa_core.models import Encoder

BACKEND = "inductor"  # its own CUDA graphs are off by default: the step is captured as a whole
_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_SHAPES = 64  # that one process may meet; torch gives up after 8
_MOST = 2**20  # of all that it has ever met; torch gives up after 256


@dataclass(frozen=True, slots=True)
class Compilation:
    """How compiling went.

    Attributes:
        seconds: that it took, with the first steps.
        failure: why the step runs as it is after all; empty if it is compiled.
    """

    seconds: float
    failure: str = ""


def compile_parts(method: Method) -> MakeViews:
    """Have the method's encoders compiled when they are first called, and return such views."""
    how: dict[str, Any] = {"backend": BACKEND, "fullgraph": True, "dynamic": False}
    for encoder in _encoders(method):
        encoder.compile(**how)
    return torch.compile(make_views, **how)


def undo(method: Method) -> MakeViews:
    """The opposite of ``compile_parts``."""
    for encoder in _encoders(method):
        encoder._compiled_call_impl = None
    return make_views


def _encoders(method: Method) -> list[Encoder]:
    return [module for module in method.modules() if isinstance(module, Encoder)]


def reason(error: Exception) -> str:
    """Why something could not be compiled, in a line."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:200]


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """The context in which ``what``, a text that tells shapes apart, is first run.

    What is compiled is kept on disk, for all processes of this user on this host. One of them
    compiles a shape, and others that need it wait, and read it.

    Raises:
        InputError: the folder for it is open to others, who could put programs there.
        OSError: it cannot be written.
    """
    folder = cache_folder()
    os.environ[_VARIABLE] = str(folder)
    from torch._dynamo import config as tracing  # takes a second, which others need not wait for
    from torch._inductor import config as generating

    tracing.recompile_limit = max(tracing.recompile_limit, _SHAPES)
    tracing.accumulated_recompile_limit = _MOST
    generating.cpp_cache_precompile_headers = False  # they would be in a folder open to others
    name = hashlib.sha256(what.encode()).hexdigest()[:16]
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """``$TORCHINDUCTOR_CACHE_DIR``, else ``nsa-studies/compiled`` in ``$XDG_CACHE_HOME`` or
    ``~/.cache``; made if need be, for this user alone.

    Raises:
        InputError: it belongs to another user, or others can write to it.
        OSError: it cannot be made.
    """
    explicit = os.environ.get(_VARIABLE)
    folder = Path(explicit) if explicit else user_cache() / "compiled"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not own or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            f"{folder} is not this user's alone, and holds programs; "
            f"set {_VARIABLE} to a folder that is"
        )
    return folder
