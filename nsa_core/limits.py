"""What this process may use of its machine; in a container that is less than the machine has.

The kernel's control groups limit a process, and whatever group is inside another. Both of their
versions are read, from the process's own group up to the outermost that it sees.
"""

import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def usable_cores(groups: Path = GROUPS, own: Path = OWN) -> int:
    """CPU cores that this process may run on, and its groups have the time of; at least 1."""
    cores = float(len(os.sched_getaffinity(0)))
    for folder in _folders("cpu", groups, own):
        quota = [*_words(folder / "cpu.max")]
        quota += [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        if len(quota) == 2 and all(map(str.isdecimal, quota)):  # else "max" or -1: no limit
            cores = min(cores, int(quota[0]) / int(quota[1]))
    return max(1, int(cores))


def usable_memory(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Bytes of memory that the machine has, and this process's groups may take."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _folders("memory", groups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            memory = min([memory, *(int(word) for word in _words(folder / name) if word != "max")])
    return memory


def _folders(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """The groups that this process is in, by either version of the kernel's interface."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no such kernel
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree for all
            roots = [groups, groups / "unified"]
        elif controller in controllers.split(","):
            roots = [groups / controllers, groups / controller]
        else:
            continue
        inside = Path(path.strip("/"))
        for root in dict.fromkeys(roots):
            yield from (root / folder for folder in (inside, *inside.parents))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
