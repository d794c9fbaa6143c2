"""How many trials share a device: fractions that mean what they say."""

import math
from dataclasses import dataclass

from nsa_core.errors import InputError


@dataclass(frozen=True)
class Resources:
    """What each trial is given.

    Attributes:
        cpus: CPU cores, at least 1, whole; also the trial's threads.
        gpus: 0, a fraction of one GPU, or a whole number.
    """

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.cpus != int(self.cpus):
            raise InputError(f"cpus per trial is {self.cpus}; need a whole number of at least 1")
        if not math.isfinite(self.gpus) or self.gpus < 0:
            raise InputError(f"gpus per trial is {self.gpus}; need a number of at least 0")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(
                f"gpus per trial is {self.gpus}; above 1 it must be whole, below 1 it is the "
                "share of one GPU"
            )

    def as_ray(self) -> dict[str, float]:
        """In Ray's words."""
        return {"cpu": self.cpus, "gpu": self.gpus} if self.gpus else {"cpu": self.cpus}


@dataclass(frozen=True)
class Placement:
    """What will run where.

    Attributes:
        resources: of each trial, after planning.
        at_once: trials that run at the same time.
        note: what planning changed and why; empty if nothing.
    """

    resources: Resources
    at_once: int
    note: str = ""


def place(
    wanted: Resources, *, cpus: int, gpus: int, trials: int, concurrency: int | None = None
) -> Placement:
    """Fit trials to a cluster of ``cpus`` cores and ``gpus`` GPUs.

    Ray fills the first GPU of a node before it uses the next, and a fraction such as 0.6 packs one
    trial to a GPU and wastes the rest. So the share is widened to the largest one at which as many
    trials run at once, and every GPU gets one before any gets two more than another.

    Raises:
        InputError: not even one trial fits.
    """
    if concurrency is not None and concurrency < 1:
        raise InputError(f"concurrency is {concurrency}; need at least 1")
    if wanted.cpus > cpus:
        raise InputError(
            f"a trial wants {wanted.cpus} CPU cores and the cluster has {cpus}; "
            f"use --cpus-per-trial {max(1, cpus)} or less"
        )
    limit = min(cpus // wanted.cpus, concurrency or trials, max(1, trials))
    if wanted.gpus == 0:
        return Placement(wanted, limit)
    if gpus < max(1, wanted.gpus):
        raise InputError(
            f"a trial wants {wanted.gpus:g} GPU and the cluster has {gpus}; "
            "leave --gpus-per-trial out to train on CPUs"
        )
    if wanted.gpus >= 1:
        return Placement(wanted, min(limit, int(gpus // wanted.gpus)))
    per_gpu = min(math.floor(1 / wanted.gpus + 1e-9), math.ceil(limit / gpus))
    share = math.floor(10_000 / per_gpu) / 10_000  # Ray counts in ten-thousandths
    at_once = min(limit, per_gpu * gpus)
    if share == wanted.gpus:
        return Placement(wanted, at_once)
    note = (
        f"{at_once} trials at once on {gpus} GPU{'s' * (gpus > 1)}: each gets {share:g} of one "
        f"instead of {wanted.gpus:g}"
    )
    return Placement(Resources(wanted.cpus, share), at_once, note)
