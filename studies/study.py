"""What a study is: a grid of trials around a base configuration, and how its table reads."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from nsa_core import ImageSet, TrialConfig, class_index, load_images
from nsa_core.errors import InputError, unknown
from studies.results import Results

FIELDS = {field.name for field in fields(TrialConfig)}
UNTRAINED = {
    "dataset": "a study has one data set; give it with --dataset",
    "normal_class": "classes are given with --classes",
    "seed": "seeds are given with --seeds",
    "evaluations": "one training is evaluated at many epochs",
    "layers": "one training is scored on all layers asked for",
    "probe_images": "probes do not change the training",
}


@dataclass(frozen=True)
class Preset:
    """A size of a study.

    Attributes:
        dataset: where no other is asked for.
        classes: normal classes, by name or index; empty for all.
        axes: configuration field to the values that the study crosses; a tuple of fields takes
            tuples of values, for what varies together.
        base: configuration fields that all trials share.
        seeds: how many, counted from 0.
    """

    dataset: str
    classes: tuple[int | str, ...]
    axes: Mapping[str | tuple[str, ...], Sequence[Any]]
    base: Mapping[str, Any]
    seeds: int = 1


class Report(Protocol):
    """How results read: tables in Markdown, and one picture."""

    def about(self) -> dict[str, Any]:
        """The same as plain values, kept in the store: see ``tracking.Store.about``."""
        ...

    def tables(self, results: Results) -> str: ...

    def picture(self, results: Results) -> bytes:
        """A PNG."""
        ...


@dataclass(frozen=True)
class Study:
    """A question, the grid that answers it, and the report that shows the answer.

    Attributes:
        name: of the study in the store and in MLflow.
        title: one line, as in the paper.
        report: tables and picture.
        presets: sizes by name.
    """

    name: str
    title: str
    report: Report
    presets: Mapping[str, Preset]


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
    data: "Data"


@dataclass(frozen=True)
class Data:
    """What a trial's record says of its data.

    Attributes:
        fingerprint: identifies training and test split together.
        class_names: of the data set.
    """

    fingerprint: str
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
    defaults: Mapping[str, Any] | None = None,
) -> Grid:
    """Every trial of a preset, with what the user changed.

    ``defaults`` are for fields that both leave open.

    Raises:
        InputError: an unknown preset, data set, class, axis or option, an impossible value, an
            empty grid, or two cells that are the same trial.
    """
    if preset_name not in study.presets:
        raise unknown("preset", preset_name, study.presets)
    preset = study.presets[preset_name]
    name = dataset or preset.dataset
    train = load_images(name, "train", data_root)
    test = load_images(name, "test", data_root)
    normal = _classes(train, classes or preset.classes)
    _check_axes(study.name, preset)
    cells = _cells(preset.axes)
    for key in overrides or {}:
        if key in cells[0]:
            values = dict.fromkeys(str(cell[key]) for cell in cells)
            raise InputError(
                f"{key!r} is an axis of {study.name} ({', '.join(values)}); "
                "it cannot be set to one value"
            )
    base = {**(defaults or {}), **preset.base, **(overrides or {})}
    configs = tuple(
        TrialConfig.from_dict(
            {**base, **cell} | {"dataset": name, "normal_class": index, "seed": seed}
        )
        for seed, index in itertools.product(range(seeds or preset.seeds), normal)
        for cell in cells
    )
    _check_distinct(study.name, configs)
    _check_batches(configs, train)
    return Grid(study, configs, data_of(train, test))


def data_of(train: ImageSet, test: ImageSet) -> Data:
    """The names of a data set's two splits."""
    return Data(f"{train.fingerprint}+{test.fingerprint}", train.class_names)


def _check_axes(study: str, preset: Preset) -> None:
    """Refuse axes that the configuration does not have, that train nothing anew, or are empty."""
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


def _classes(image_set: ImageSet, wanted: Sequence[int | str]) -> list[int]:
    if not wanted:
        return list(range(len(image_set.class_names)))
    return list(dict.fromkeys(class_index(image_set, each) for each in wanted))


def _check_batches(configs: Sequence[TrialConfig], train: ImageSet) -> None:
    """Refuse a batch that a class cannot fill before any trial starts."""
    for config in configs:
        normals = int((train.labels == config.normal_class).sum())
        left = normals - int(config.held_out * normals)
        if config.batch_size > left:
            raise InputError(
                f"batch_size {config.batch_size} is larger than the {left} training images of "
                f"class {train.class_names[config.normal_class]!r} of {config.dataset}; "
                f"use at most {left}"
            )
