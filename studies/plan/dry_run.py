"""Before a study runs: its grid in words, and what it will cost."""

import argparse
import sys
from collections.abc import Sequence

from nsa_core import TrialConfig
from studies.cluster.placement import Placement
from studies.plan.forecast import Forecast, check_hours, forecast, shape, shapes
from studies.plan.hardware import device_of
from studies.plan.hours import device_hours
from studies.plan.measure import Cost, measure
from studies.trial.data import images_of, split_of

_SHOWN = (
    "method", "norm", "batch_size", "pollution", "normal_class", "seed", "precision", "compile",
    "budget", "budget_unit", "evaluations", "depth", "width",
)  # fmt: skip


def print_grid(name: str, configs: Sequence[TrialConfig]) -> None:
    """What varies, and how long each training is."""
    print(f"{name}: {len(configs)} trials on {configs[0].dataset}")
    for field in _SHOWN:
        values = dict.fromkeys(str(getattr(config, field)) for config in configs)
        print(f"  {field:14} {', '.join(values)}")


def forecast_of(
    configs: Sequence[TrialConfig], options: argparse.Namespace, where: Placement
) -> Forecast:
    """Measure every kind of trial here, as many side by side as will run (if they share a GPU, as
    many as one GPU has), and multiply out.
    """
    device, kinds = device_of(options), shapes(configs)
    share, beside = where.resources.gpus, where.at_once
    if packed := 0 < share < 1:
        beside = min(beside, round(1 / share))
    costs: dict[str, Cost] = {}
    for number, (key, config) in enumerate(kinds.items(), start=1):
        compiled = ", compiled, which takes a minute or two" * config.compile
        print(
            f"measuring {number} of {len(kinds)}: {config.method}, batch {config.batch_size}, "
            f"width {config.width}, {beside} at once on this machine's {device}{compiled}",
            file=sys.stderr,
        )
        costs[key] = measure(
            config, options.data_root, device, options.cpus_per_trial, beside, packed
        )
    sizes: dict[tuple[int, float, float], int] = {}
    for config in configs:
        size = (config.normal_class, config.pollution, config.held_out)
        if size not in sizes:
            sizes[size] = len(split_of(config, options.data_root).train_images)
    _, test = images_of(configs[0].dataset, options.data_root)
    return forecast(
        configs,
        costs,
        lambda config: sizes[config.normal_class, config.pollution, config.held_out],
        len(test) if test is not None else 0,
        where.at_once,
    )


def dry_run(
    name: str, configs: Sequence[TrialConfig], found: Forecast, options: argparse.Namespace
) -> None:
    """Print the grid and what it would cost."""
    print_grid(name, configs)
    kinds = len({shape(config) for config in configs})
    print(f"\nFrom a few real steps and an evaluation of {kinds} kinds of trial:\n")
    print(found.lines())
    print(f"\n{device_hours(configs, found, options)}")


def limit_hours(
    configs: Sequence[TrialConfig], options: argparse.Namespace, where: Placement
) -> None:
    """Raise an InputError if the forecast exceeds ``--max-hours``."""
    if options.max_hours is not None:
        check_hours(forecast_of(configs, options, where), options.max_hours, configs)
