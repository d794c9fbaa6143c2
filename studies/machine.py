"""What a trial ran on, and what it used of it."""

import platform
import resource
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

import nsa_core
from studies.energy import EnergyMeter


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Host, device and versions, as the ledger's columns."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "host": socket.gethostname(),
        "device": f"{device.type} ({name})",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "version": nsa_core.__version__,
        "commit": _commit(),
    }


@cache
def _commit() -> str | None:
    """Of the checkout that this runs from, with a + if it was changed; None outside of one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True)
    except FileNotFoundError:
        return None
    return head.stdout.strip() + "+" * changed.returncode if head.returncode == 0 else None


def usage(device: torch.device, meter: EnergyMeter) -> dict[str, Any]:
    """Energy is the processor's, of this attempt; that of a GPU is not read."""
    joules = meter.joules() if device.type == "cpu" else None
    energy = {} if joules is None else {"energy_joules": joules}
    return {"peak_memory_mb": peak_memory_mb(device), **energy}


def peak_memory_mb(device: torch.device) -> float:
    """Of the trial's device; on a CPU of its process, trials before included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
