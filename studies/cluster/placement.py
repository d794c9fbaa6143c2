"""Placement: how many trials run at once, and which share of a GPU each gets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nsa_core.errors import InputError
from nsa_core.training.packing import MOST_STREAMS
from studies.cluster.gpu_waves import wave_asks


@dataclass(frozen=True)
class Resources:
    """Resources of one trial.

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
        if 0 < self.gpus < 1 and round(1 / self.gpus) > MOST_STREAMS:
            raise InputError(
                f"gpus per trial is {self.gpus}; need at least {1 / MOST_STREAMS:g}, as at most "
                f"{MOST_STREAMS} trials share a GPU"
            )


@dataclass(frozen=True)
class Host:
    """A machine that trials may run on: its name, CPU cores and GPUs."""

    name: str
    cpus: int
    gpus: int = 0


@dataclass(frozen=True)
class Placement:
    """Planned placement of trials.

    Attributes:
        resources: of each trial, after planning; its share of a GPU caps its memory.
        asks: GPUs that Ray is asked for, a trial that runs at the same time, first start first. For
            shares of a GPU they differ, so that Ray spreads trials; see ``gpu_waves``.
        note: what planning changed and why, and what stays idle; empty if nothing.
    """

    resources: Resources
    asks: tuple[float, ...]
    note: str = ""

    @property
    def at_once(self) -> int:
        """Trials that run at the same time."""
        return len(self.asks)


def place(
    wanted: Resources, hosts: Sequence[Host], *, trials: int, concurrency: int | None = None
) -> Placement:
    """Fit trials to the hosts of a cluster; a trial has its cores and GPUs on one host.

    A fraction such as 0.6 packs one trial to a GPU and wastes the rest, and few trials need not
    share. So the share is widened to the largest one at which as many trials run at once. Every GPU
    is used before any gets a second trial.

    Raises:
        InputError: not even one trial fits.
    """
    if concurrency is not None and concurrency < 1:
        raise InputError(f"concurrency is {concurrency}; need at least 1")
    most = max((host.cpus for host in hosts), default=0)
    if wanted.cpus > most:
        raise InputError(
            f"a trial wants {wanted.cpus} CPU cores and no host has more than {most}; "
            f"use --cpus-per-trial {max(1, most)} or less"
        )
    limit = min(concurrency or trials, max(1, trials))
    if wanted.gpus == 0:
        cores = sum(host.cpus // wanted.cpus for host in hosts)
        return Placement(wanted, (0.0,) * min(limit, cores))
    _check_gpus(wanted, hosts)
    if wanted.gpus >= 1:
        fit = sum(min(host.cpus // wanted.cpus, int(host.gpus // wanted.gpus)) for host in hosts)
        return Placement(wanted, (wanted.gpus,) * min(limit, fit))
    return _shared(wanted, [host for host in hosts if host.gpus], limit)


def _shared(wanted: Resources, hosts: Sequence[Host], limit: int) -> Placement:
    def wave(number: int) -> int:  # trials that are the number-th of their GPU
        before = (number - 1, number)
        low, high = (
            sum(min(host.cpus // wanted.cpus, each * host.gpus) for host in hosts)
            for each in before
        )
        return high - low

    densest = math.floor(1 / wanted.gpus + 1e-9)
    room = sum(wave(number) for number in range(1, densest + 1))
    at_once, per_gpu = min(limit, room), 0
    sizes: list[int] = []
    while sum(sizes) < at_once:
        per_gpu += 1
        sizes.append(wave(per_gpu))
    waves = zip(wave_asks(per_gpu, max(host.gpus for host in hosts)), sizes, strict=True)
    asks = tuple(ask for ask, size in waves for _ in range(size))[:at_once]
    share = math.floor(10_000 / per_gpu) / 10_000  # Ray counts in ten-thousandths
    notes = []
    if share != wanted.gpus:
        gpus = sum(host.gpus for host in hosts)
        notes.append(
            f"{at_once} trials at once on {gpus} GPU{'s' * (gpus > 1)}: each gets {share:g} of one "
            f"instead of {wanted.gpus:g}"
        )
    for host in hosts if at_once < limit else ():
        if (cores := host.cpus // wanted.cpus) < densest * host.gpus:
            notes.append(
                f"host {host.name} has {host.cpus} CPU cores: enough for {cores} of the "
                f"{densest * host.gpus} trials that its {host.gpus} GPUs could take"
            )
    return Placement(Resources(wanted.cpus, share), asks, "\n".join(notes))


def _check_gpus(wanted: Resources, hosts: Sequence[Host]) -> None:
    """Raise an InputError if no host has the GPUs and cores for one trial."""
    need = math.ceil(wanted.gpus)
    with_gpus = [host for host in hosts if host.gpus >= need]
    if not with_gpus:
        raise InputError(
            f"a trial wants {wanted.gpus:g} GPU and no host has more than "
            f"{max(host.gpus for host in hosts)}; leave --gpus-per-trial out to train on CPUs"
        )
    if not any(host.cpus >= wanted.cpus for host in with_gpus):
        best = max(with_gpus, key=lambda host: host.cpus)
        raise InputError(
            f"a trial wants {wanted.cpus} CPU cores beside its GPU, and host {best.name} with "
            f"{best.gpus} GPUs has {best.cpus}; use --cpus-per-trial {max(1, best.cpus)} or less"
        )
