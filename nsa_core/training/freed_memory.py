"""What a step frees is kept for the next one, which asks for as much again."""

import ctypes
import os
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER, _LARGEST = -1, 2**30
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


@cache
def keep_freed_memory() -> None:
    """Have the C library keep freed memory, for the life of the process; does so once.

    glibc gives blocks of over 32 MB back to the kernel at once, as it does with a free end of the
    heap, and the kernel clears every page anew when they are asked for again, in every step of a
    large batch. Who has set one of glibc's own variables for this, as MALLOC_TRIM_THRESHOLD_, has
    it so. Other C libraries are left as they are.
    """
    if any(name in os.environ for name in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _NEVER)
