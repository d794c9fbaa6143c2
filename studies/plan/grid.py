"""The trials of one run of a study: its axes crossed around the base configuration."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsa_core import ImageSet, TrialConfig, load_splits, methods
from nsa_core.data import shares
from nsa_core.errors import InputError, unknown
from studies.plan.classes import normal_classes
from studies.plan.fields import FIELDS, UNTRAINED
from studies.plan.study import Preset, Study
from studies.trial.data import Data, data_of


@dataclass(frozen=True)
class Grid:
    """The trials of one run of a study, with the data they need loaded once to name it.

    Attributes:
        study: whose grid.
        configs: one a trial; all cells of one class come before the next class, all classes
            before the next seed, so that an interrupted study has every cell with nearly the same
            classes and seeds, and compares like with like.
        data: that all trials share.
    """

    study: Study
    configs: tuple[TrialConfig, ...]
    data: Data


def build_grid(
    study: Study,
    preset_name: str,
    *,
    dataset: str | None = None,
    data_root: str | None = None,
    classes: str | Sequence[int | str] = (),
    seeds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Grid:
    """Every trial of a preset, with what the user changed.

    ``classes`` in place of the preset's, as a sequence or as a text with commas between them.
    ``defaults`` are for fields that both leave open.

    Raises:
        InputError: an unknown preset, data set, class, axis or option, an impossible value, an
            empty grid, or two cells that are the same trial.
    """
    if preset_name not in study.presets:
        raise unknown("preset", preset_name, study.presets)
    preset = study.presets[preset_name]
    name = dataset or preset.dataset
    train, test = load_splits(name, data_root)
    normal = normal_classes(train, test, classes, preset.classes)
    _check_axes(study.name, preset)
    cells = _cells(preset.axes)
    for key in overrides or {}:
        if key in cells[0]:
            values = dict.fromkeys(str(cell[key]) for cell in cells)
            raise InputError(
                f"{key!r} is an axis of {study.name} ({', '.join(values)}); "
                "it cannot be set to one value"
            )
    base = {**preset.base, **(overrides or {})}
    configs = tuple(
        TrialConfig.from_dict(
            {**(defaults or {}), **_recipe(preset, base | cell), **base, **cell}
            | {"dataset": name, "normal_class": index, "seed": seed}
        )
        for seed, index in itertools.product(range(seeds or preset.seeds), normal)
        for cell in cells
    )
    _check_distinct(study.name, configs)
    _check_images(configs, train, test)
    return Grid(study, configs, data_of(train, test))


def _recipe(preset: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """The published training of a trial's method, if the preset starts from it."""
    if not preset.recipes:
        return {}
    options = given.get("method_options")
    return methods.recipe(
        given.get("method", TrialConfig().method), options if isinstance(options, Mapping) else {}
    )


def _check_axes(study: str, preset: Preset) -> None:
    """Raise an InputError for axes that are unknown, empty, or need no retraining."""
    for axis, values in preset.axes.items():
        names = axis if isinstance(axis, tuple) else (axis,)
        for name in names:
            if name in UNTRAINED:
                raise InputError(f"{name!r} is no axis of {study}: {UNTRAINED[name]}")
            if name not in FIELDS:
                raise unknown(f"axis of {study}", name, FIELDS)
        if not values:
            raise InputError(f"axis {axis!r} of {study} has no values; the grid would be empty")
        for value in values:
            if isinstance(axis, tuple) and (
                not isinstance(value, tuple) or len(value) != len(axis)
            ):
                raise InputError(
                    f"axis {axis!r} of {study} has the value {value!r}; need a tuple of "
                    f"{len(axis)} values"
                )


def _check_distinct(study: str, configs: Sequence[TrialConfig]) -> None:
    seen = set()
    for config in configs:
        if (name := config.canonical()) in seen:
            raise InputError(f"two cells of {study} are the same trial: {config}")
        seen.add(name)


def _cells(axes: Mapping[str | tuple[str, ...], Sequence[Any]]) -> list[dict[str, Any]]:
    """The configuration fields of every cell."""
    choices = [
        [
            dict(zip(key, value, strict=True)) if isinstance(key, tuple) else {key: value}
            for value in values
        ]
        for key, values in axes.items()
    ]
    return [
        {name: value for part in parts for name, value in part.items()}
        for parts in itertools.product(*choices)
    ]


def _check_images(configs: Sequence[TrialConfig], train: ImageSet, test: ImageSet | None) -> None:
    """Raise an InputError for a batch larger than a class's training set, or for images that the
    data set does not have.
    """
    for config in configs:
        _, withheld = shares(
            train,
            test,
            config.normal_class,
            config.pollution,
            config.held_out,
            config.probe_images,
        )
        left = int((train.labels == config.normal_class).sum()) - withheld
        if config.batch_size > left:
            raise InputError(
                f"batch_size {config.batch_size} is larger than the {left} training images of "
                f"class {train.class_names[config.normal_class]!r} of {config.dataset}; "
                f"use at most {left}"
            )
