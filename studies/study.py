"""What a study is: a grid of trials around a base configuration, and how its table reads."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsa_core import ImageSet, TrialConfig, class_index, load_images
from nsa_core.errors import InputError, unknown


@dataclass(frozen=True)
class Preset:
    """A size of a study.

    Attributes:
        dataset: where no other is asked for.
        classes: normal classes, by name or index; empty for all.
        axes: configuration field to the values that the study crosses.
        base: configuration fields that all trials share.
        seeds: how many, counted from 0.
    """

    dataset: str
    classes: tuple[int | str, ...]
    axes: Mapping[str, Sequence[Any]]
    base: Mapping[str, Any]
    seeds: int = 1


@dataclass(frozen=True)
class Study:
    """A question, the grid that answers it, and the table that shows the answer.

    Attributes:
        name: of the study in the store and in MLflow.
        title: one line, as in the paper.
        rows, columns: the axes that the table shows.
        headline: the scorer in the table; the others are given beside it.
        presets: sizes by name.
        paper: published AUROC in [0, 1] by (dataset, row value, column value), k-Cos.
    """

    name: str
    title: str
    rows: str
    columns: str
    headline: str
    presets: Mapping[str, Preset]
    paper: Mapping[tuple[str, Any, Any], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """The trials of one run of a study, with the data they need loaded once to name it.

    Attributes:
        study: whose grid.
        configs: one a trial; all cells of a class and seed come before the next class or seed,
            so that an interrupted study still compares like with like.
        data_fingerprint: identifies training and test split together.
        class_names: of the data set.
    """

    study: Study
    configs: tuple[TrialConfig, ...]
    data_fingerprint: str
    class_names: tuple[str, ...]


def build_grid(
    study: Study,
    preset_name: str,
    *,
    dataset: str | None = None,
    data_root: str | None = None,
    classes: Sequence[str] = (),
    seeds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Grid:
    """Every trial of a preset, with what the user changed.

    Raises:
        InputError: an unknown preset, data set, class, axis or option, or an impossible value.
    """
    if preset_name not in study.presets:
        raise unknown("preset", preset_name, study.presets)
    preset = study.presets[preset_name]
    name = dataset or preset.dataset
    train = load_images(name, "train", data_root)
    test = load_images(name, "test", data_root)
    normal = _classes(train, classes or preset.classes)
    axes = dict(preset.axes)
    for key in overrides or {}:
        if key in axes:
            raise InputError(
                f"{key!r} is an axis of {study.name} ({', '.join(map(str, axes[key]))}); "
                "it cannot be set to one value"
            )
    base = {**preset.base, **(overrides or {})}
    configs = tuple(
        TrialConfig.from_dict(
            {**base, **dict(zip(axes, values, strict=True))}
            | {"dataset": name, "normal_class": index, "seed": seed}
        )
        for seed, index in itertools.product(range(seeds or preset.seeds), normal)
        for values in itertools.product(*axes.values())
    )
    _check_batches(configs, train)
    return Grid(study, configs, f"{train.fingerprint}+{test.fingerprint}", train.class_names)


def _classes(image_set: ImageSet, wanted: Sequence[int | str]) -> list[int]:
    if not wanted:
        return list(range(len(image_set.class_names)))
    return list(dict.fromkeys(class_index(image_set, each) for each in wanted))


def _check_batches(configs: Sequence[TrialConfig], train: ImageSet) -> None:
    """Refuse a batch that a class cannot fill before any trial starts."""
    for config in configs:
        normals = int((train.labels == config.normal_class).sum())
        if config.batch_size > normals:
            raise InputError(
                f"batch_size {config.batch_size} is larger than the {normals} training images of "
                f"class {train.class_names[config.normal_class]!r} of {config.dataset}; "
                f"use at most {normals}"
            )
