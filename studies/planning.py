"""Before a study runs: its grid in words, its forecast, its share of a GPU."""

import argparse
import sys
from collections.abc import Sequence

import torch

from nsa_core import TrialConfig
from studies.forecast import Forecast, check_hours, forecast, gpu_share, shape, shapes
from studies.measure import Cost, measure
from studies.options import AUTO, device_of
from studies.trial import split_of

_SHOWN = (
    "method", "norm", "batch_size", "pollution", "normal_class", "seed", "precision", "budget",
    "budget_unit", "evaluations", "depth", "width",
)  # fmt: skip


def print_grid(name: str, configs: Sequence[TrialConfig]) -> None:
    """What varies, and how long each training is."""
    print(f"{name}: {len(configs)} trials on {configs[0].dataset}")
    for field in _SHOWN:
        values = dict.fromkeys(str(getattr(config, field)) for config in configs)
        print(f"  {field:14} {', '.join(values)}")


def forecast_of(
    configs: Sequence[TrialConfig], options: argparse.Namespace, at_once: int
) -> Forecast:
    """Measure every kind of trial here, as many side by side as will run, and multiply out."""
    device, kinds = device_of(options), shapes(configs)
    costs: dict[str, Cost] = {}
    for number, (key, config) in enumerate(kinds.items(), start=1):
        print(
            f"measuring {number} of {len(kinds)}: {config.method}, batch {config.batch_size}, "
            f"width {config.width}, {at_once} at once on this machine's {device}",
            file=sys.stderr,
        )
        costs[key] = measure(config, options.data_root, device, options.cpus_per_trial, at_once)
    sizes: dict[tuple[int, float, float], int] = {}
    for config in configs:
        size = (config.normal_class, config.pollution, config.held_out)
        if size not in sizes:
            sizes[size] = len(split_of(config, options.data_root).train_images)
    tests = len(split_of(configs[0], options.data_root).test_images)
    return forecast(
        configs,
        costs,
        lambda config: sizes[config.normal_class, config.pollution, config.held_out],
        tests,
        at_once,
    )


def dry_run(name: str, configs: Sequence[TrialConfig], found: Forecast) -> None:
    """Print the grid and what it would cost."""
    print_grid(name, configs)
    kinds = len({shape(config) for config in configs})
    print(f"\nFrom a few real steps and an evaluation of {kinds} kinds of trial:\n")
    print(found.lines())


def limit_hours(configs: Sequence[TrialConfig], options: argparse.Namespace, at_once: int) -> None:
    """Refuse a study that would take longer than the user allows."""
    if options.max_hours is not None:
        check_hours(forecast_of(configs, options, at_once), options.max_hours, configs)


def settle_gpu_share(configs: Sequence[TrialConfig], options: argparse.Namespace) -> None:
    """Replace ``--gpus-per-trial auto`` by a measured fraction."""
    if options.gpus_per_trial != AUTO:
        return
    memory = torch.cuda.get_device_properties(0).total_memory / 2**20
    shares = [
        gpu_share(
            lambda copies, config=config: measure(
                config, options.data_root, "cuda", options.cpus_per_trial, copies
            ),
            memory,
        )
        for config in shapes(configs).values()
    ]
    options.gpus_per_trial = max(shares)
    print(f"--gpus-per-trial auto: {options.gpus_per_trial:g}, measured on this machine's GPU")
