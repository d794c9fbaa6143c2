"""Whether a study's trainings are compiled: as asked for, as it began, or as the forecast says."""

import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from nsa_core import TrialConfig
from studies.cluster.placement import Placement
from studies.plan.dry_run import forecast_of
from studies.plan.forecast import Forecast, shape
from studies.plan.hardware import device_of
from studies.plan.options import AUTO, OFF, ON
from studies.plan.work import images_to_train
from studies.trial.data import images_of
from tracking import open_store
from tracking.errors import DamagedFileError
from tracking.files.door import MARKER
from tracking.files.place import locate

_CPU_IMAGES, _CPU_SECONDS = 50_000, 1200.0  # less is not worth a measurement


def settle_compile(
    name: str, configs: Sequence[TrialConfig], options: argparse.Namespace, where: Placement
) -> bool:
    """Replace ``--compile auto`` by "on" or "off"; returns whether that turned it on.

    It is decided once for all trials, as they are compared with each other. A study that has begun
    goes on as it did. Of another the kind of trial with the most images is measured both ways, and
    the forecast decides. On a CPU short studies are not measured, it is off: compiling takes all
    cores a minute or two, and saves at most a quarter (benchmarks/results/cpu_training.md).
    """
    if options.compile != AUTO:
        return False
    options.compile = OFF
    if (begun := _as_begun(name, options.store)) is not None:
        options.compile = ON if begun else OFF
        return begun
    largest, device = _largest_kind(configs), device_of(options)
    if device == "cpu" and _short(largest, options):
        return False
    eager = forecast_of(largest, options, where)
    if device == "cpu" and eager.seconds < _CPU_SECONDS:
        return False
    compiled = forecast_of([replace(each, compile=True) for each in largest], options, where)
    options.compile = ON if pays(eager, compiled) else OFF
    print(f"--compile auto: {options.compile}, measured on this machine's {device}")
    return bool(options.compile == ON)


def pays(eager: Forecast, compiled: Forecast) -> bool:
    """Whether trainings save more time by being compiled than that takes; not if it fails."""
    return not compiled.not_compiled and compiled.seconds < eager.seconds


def _short(configs: Sequence[TrialConfig], options: argparse.Namespace) -> bool:
    """Whether trainings of one kind must be done soon, or have so few images that they will."""
    if options.max_hours is not None and 3600 * options.max_hours < _CPU_SECONDS:
        return True
    images = sum(map(images_to_train, configs))
    if configs[0].budget_unit == "epochs":
        train, _ = images_of(configs[0].dataset, options.data_root)
        images *= int((train.labels == configs[0].normal_class).sum())
    return images < _CPU_IMAGES


def _largest_kind(configs: Sequence[TrialConfig]) -> list[TrialConfig]:
    """The trials of the shape that most images are trained in."""
    work: Counter[str] = Counter()
    for config in configs:
        work[shape(config)] += int(images_to_train(config))
    largest = work.most_common(1)[0][0]
    return [config for config in configs if shape(config) == largest]


def _as_begun(name: str, path: str) -> bool | None:
    """Whether the first trial of this study in the store is compiled; None if there is none."""
    if not (locate(path) / MARKER).exists():
        return None
    store = open_store(path)
    for key in store.members(name):
        with suppress(FileNotFoundError, DamagedFileError):  # what becomes of it is another's say
            return bool(store.trial(key).definition()["config"].get("compile", False))
    return None
