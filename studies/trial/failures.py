"""Recognise a store that cannot be used and a lack of memory, and say what would help."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tracking import StoreError
from tracking.files.door import MARKER
from tracking.files.place import StorePath, locate

OUT_OF_MEMORY = "out of memory"
"""How the message of every such trial begins."""

_ADVICE = "give a trial more: a larger --gpus-per-trial, a lower --concurrency or a smaller batch"
_WORDS = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_GONE = (errno.ENOENT, errno.ENOTDIR)
_DISK_FAILS = "see what the kernel says of its disk, or copy it to another"
_ADVICE_OF = {
    errno.EROFS: "make its file system writable",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let this user read and write all of it"),
    **dict.fromkeys(_GONE, "bring it back, or give another --store"),
    **dict.fromkeys(
        (errno.EIO, errno.EREMOTEIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN),
        _DISK_FAILS,
    ),
}
_NAMELESS = (errno.EROFS, errno.EIO, errno.EREMOTEIO, errno.ENODEV, errno.ESTALE)
"""Of errors that name no file those that only a disk has."""


class UnusableStoreError(StoreError):
    """The store as a whole cannot be used; nothing that was written is lost."""


class DiskFullError(UnusableStoreError):
    """There is no space to write results to."""


def check_usable(error: BaseException, store: StorePath | str) -> None:
    """Raise an UnusableStoreError if what caused this error ails the whole store."""
    root = locate(store)
    goes_on = "then the same command goes on where it stopped"
    for each in _chain(error):
        if _says_full(each):
            raise DiskFullError(
                f"no space left on the disk of {root}; free some, {goes_on}"
            ) from error
        if isinstance(root, Path) and (advice := _advice(each, root)):
            if getattr(each, "errno", None) == errno.ENOENT:
                raise _gone(root) from error
            where = getattr(each, "filename", None)
            reason = getattr(each, "strerror", None) or str(each).strip().splitlines()[-1]
            raise UnusableStoreError(
                f"store {root} cannot be used ({reason}{f': {where}' if where else ''}); "
                f"{advice}, {goes_on}"
            ) from error


def check_there(store: StorePath) -> None:
    """Raise an UnusableStoreError if a store was removed or moved, or cannot be looked at: writing
    would make a husk of it. Of object storage that is not asked.
    """
    with checked_store(store):
        there = not isinstance(store, Path) or (store / MARKER).exists()
    if not there:
        raise _gone(store)


def _gone(store: StorePath) -> UnusableStoreError:
    return UnusableStoreError(
        f"store {store} is not there any more; {_ADVICE_OF[errno.ENOENT]}, then the same command "
        "goes on where it stopped"
    )


@contextmanager
def checked_store(store: StorePath | str) -> Iterator[None]:
    """Raise an UnusableStoreError for errors whose cause ails the whole store."""
    try:
        yield
    except UnusableStoreError:
        raise
    except Exception as error:
        check_usable(error, store)
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory; torch has no class for that on a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(w in str(error) for w in _WORDS)


def is_device_lost(error: BaseException) -> bool:
    """Whether the GPU can no longer be used from this process, as after an access out of bounds.

    What goes wrong while a step is captured ends that capture alone.
    """
    if not isinstance(error, torch.AcceleratorError) or is_out_of_memory(error):
        return False
    return "captur" not in str(error)


def out_of_memory(reason: object) -> str:
    """The message of a trial that ran out of memory."""
    first = str(reason).strip().partition("\n")[0] or "no more was given"
    return f"{OUT_OF_MEMORY}: {first}; {_ADVICE}"


def kills_for_memory() -> int:
    """Number of OOM kills on this host since boot."""
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts.get("oom_kill", 0))


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return "No space left on device" in str(error)  # as Ray hands on what others raised


def _advice(error: BaseException, root: Path) -> str:
    """What would help if this error ails the whole store, else an empty string."""
    if isinstance(error, OSError):
        number, file = error.errno, error.filename
        concerned = _concerns(file, root) if file else number in _NAMELESS
    else:  # as Ray hands on what others raised: in words
        text = str(error)
        number = next((each for each in _ADVICE_OF if f"[Errno {each}]" in text), None)
        concerned = str(root) in text
    if not concerned or (number in _GONE and os.access(root / MARKER, os.F_OK)):
        return ""
    return _ADVICE_OF.get(number or 0, "")


def _concerns(file: object, root: Path) -> bool:
    """Whether a file is in the store, or a folder that the store is in."""
    path = Path(os.fsdecode(file)).absolute() if isinstance(file, str | bytes | Path) else None
    return path is not None and (path.is_relative_to(root) or root.is_relative_to(path))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
