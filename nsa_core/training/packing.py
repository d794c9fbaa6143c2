"""What trials have in common that train in one process, each on a thread of its own.

Nothing of it changes a bit of any of them: they take turns at what only one may do at a time, keep
apart what must not be shared, and share what none of them writes to.
"""

import gc
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary, finalize

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

MOST_STREAMS = 32
"""Of a GPU; torch makes no more, and hands them out again without asking who uses them."""

_captures = threading.Lock()
_images: WeakValueDictionary[tuple[str, tuple[int, ...], str], Tensor] = WeakValueDictionary()
_making = threading.Lock()
_taken: set[int] = set()
_taking = threading.Lock()
_this_thread = threading.local()


@contextmanager
def capture_alone() -> Iterator[None]:
    """Who captures a CUDA graph waits for the whole device first, which another's capture forbids.

    So captures take turns, and what else waits for the device or gives memory back to it: a
    compiler that times what it generates, too.
    """
    with _captures:
        yield


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On CUDA, send this thread's kernels to a stream that no other thread has; on a CPU nothing.

    Two that capture on one stream would also have one workspace of cuBLAS, and write into it at the
    same time from then on. A thread keeps its stream for the next trial, as cuBLAS keeps a
    workspace for both.

    Raises:
        RuntimeError: ``MOST_STREAMS`` threads have one each already.
    """
    if device.type != "cuda":
        yield
        return
    if not hasattr(_this_thread, "stream"):
        _this_thread.stream = _free_stream(device)
    with torch.cuda.stream(_this_thread.stream):
        yield


def _free_stream(device: torch.device) -> torch.cuda.Stream:
    """A stream that is taken for as long as it is referenced."""
    with _taking:
        for _ in range(MOST_STREAMS):
            stream = torch.cuda.Stream(device)
            if stream.cuda_stream not in _taken:
                _taken.add(stream.cuda_stream)
                finalize(stream, _taken.discard, stream.cuda_stream)
                return stream
    raise RuntimeError(f"{MOST_STREAMS} trials share a GPU already, and torch has no more streams")


def resident(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Images on a device, for reading: equal ones are there once, for as long as anybody has them.

    Args:
        images: uint8 [N, C, H, W].
    """
    whole = np.ascontiguousarray(images)
    key = hashlib.sha256(whole.data).hexdigest(), whole.shape, str(device)
    with _making:
        found = _images.get(key)
        if found is None:
            found = _images[key] = torch.tensor(whole, device=device)
            if found.is_cuda:
                torch.cuda.current_stream(device).synchronize()  # it is there for other streams too
    if found.is_cuda:
        found.record_stream(torch.cuda.current_stream(device))  # not freed before this one is done
    return found


def free_memory() -> None:
    """Give back what ended trials have held; the others keep theirs."""
    gc.collect()
    if torch.cuda.is_initialized():
        with capture_alone():
            torch.cuda.empty_cache()
