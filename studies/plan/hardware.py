"""Settings that depend on this machine: device, precision, GPU shares."""

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from nsa_core import InputError, TrialConfig
from nsa_core.training import best_precision
from studies.cluster.placement import Resources
from studies.plan.forecast import gpu_share, shapes
from studies.plan.measure import Cost, measure
from studies.plan.options import AUTO, ON


def checked(options: argparse.Namespace) -> None:
    """Validate option values before any data is loaded."""
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds is {options.seeds}; need at least 1")
    if options.retries < 0:
        raise InputError(f"--retries is {options.retries}; need at least 0")
    if not options.stall_minutes > 0:
        raise InputError(f"--stall-minutes is {options.stall_minutes}; need a number above 0")
    if options.max_hours is not None and not options.max_hours > 0:
        raise InputError(f"--max-hours is {options.max_hours}; need a number above 0")
    if options.gpus_per_trial != AUTO:
        Resources(options.cpus_per_trial, options.gpus_per_trial)
    elif not torch.cuda.is_available():
        raise InputError(
            "--gpus-per-trial is 'auto', which measures trials on a GPU of this machine, and torch "
            f"{torch.__version__} sees none; give a number, or leave it out to train on CPUs"
        )


def device_of(options: argparse.Namespace) -> str:
    """ "cuda" where trials will train on GPUs of this machine, else "cpu"."""
    wanted = options.gpus_per_trial == AUTO or options.gpus_per_trial > 0
    on_gpu = (wanted and options.device != "cpu") or options.device == "cuda"
    return "cuda" if on_gpu and torch.cuda.is_available() else "cpu"


def defaults(options: argparse.Namespace) -> dict[str, Any]:
    """Configuration fields chosen by hardware, once for all workers, so that numbers do not depend
    on the worker.
    """
    precision = best_precision(torch.device(device_of(options)))
    return {"precision": precision, "compile": options.compile == ON}


def settle_gpu_share(configs: Sequence[TrialConfig], options: argparse.Namespace) -> None:
    """Replace ``--gpus-per-trial auto`` by a measured fraction that suits every kind of trial."""
    if options.gpus_per_trial != AUTO:
        return
    memory = torch.cuda.get_device_properties(0).total_memory / 2**20

    def share(config: TrialConfig) -> float:
        def packed(copies: int) -> Cost:
            return measure(config, options.data_root, "cuda", options.cpus_per_trial, copies, True)

        return gpu_share(packed, memory)

    options.gpus_per_trial = max(map(share, shapes(configs).values()))
    print(f"--gpus-per-trial auto: {options.gpus_per_trial:g}, measured on this machine's GPU")
