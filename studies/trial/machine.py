"""Hardware and software that a trial ran on, and its resource usage."""

import platform
import resource
import socket
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

import nsa_core
from nsa_core.errors import InputError
from studies.trial.energy import EnergyMeter


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Host, device and versions, as columns of ``trials``."""
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
    """The checkout's commit, with a + if it is modified; None outside of a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True)
    except FileNotFoundError:
        return None
    return head.stdout.strip() + "+" * changed.returncode if head.returncode == 0 else None


def chosen_device(wanted: str, gpus: Sequence[str]) -> torch.device:
    """The device of a trial by its own resources: torch may see all GPUs of the host.

    Args:
        wanted: "auto" (a GPU if it was given one), "cpu" or "cuda".
        gpus: ids of those that it was given.

    Raises:
        InputError: torch sees no CUDA device.
    """
    if wanted == "cpu" or not (gpus or wanted == "cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(
            f"Ray gave this trial GPU {list(gpus)} but torch {torch.__version__} sees no "
            "CUDA device; install a CUDA build, or pass --device cpu"
        )
    return torch.device("cuda")


def usage(device: torch.device, meter: EnergyMeter, alone: bool) -> dict[str, Any]:
    """Peak memory and CPU energy of this attempt; GPU energy is not read.

    Without the memory if the trial is not ``alone``: torch and the kernel count by process.
    """
    used = {"peak_memory_mb": peak_memory_mb(device)} if alone else {}
    joules = meter.joules() if device.type == "cpu" else None
    return used if joules is None else {**used, "energy_joules": joules}


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory of the device; on a CPU that of the process, earlier trials included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
