"""Out of memory: how it is recognised, and what is said of it."""

from pathlib import Path

import torch

OUT_OF_MEMORY = "out of memory"
"""How the message of every such trial begins."""

_ADVICE = "give a trial more: a larger --gpus-per-trial, a lower --concurrency or a smaller batch"
_WORDS = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused; torch has no class for that of a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(w in str(error) for w in _WORDS)


def out_of_memory(reason: object) -> str:
    """The message of a trial that memory was refused to."""
    first = str(reason).strip().partition("\n")[0] or "no more was given"
    return f"{OUT_OF_MEMORY}: {first}; {_ADVICE}"


def kills_for_memory() -> int:
    """Processes of this host that the kernel has killed to get memory back, since it started."""
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts.get("oom_kill", 0))
