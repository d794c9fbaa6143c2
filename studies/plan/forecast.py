"""What a study will cost in time, memory and disk, from what its kinds of trial cost."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

from nsa_core import InputError, TrialConfig
from nsa_core.scorers import available
from nsa_core.training import plan
from nsa_core.training.packing import MOST_STREAMS
from studies.plan.measure import Cost
from tracking.text import clock, markdown_table

START_S = 10.0  # Ray and the first workers
OVERHEAD_S = 0.3  # a trial, with workers that are reused
_FREE = ("norm", "normal_class", "pollution", "seed", "budget", "budget_unit", "evaluations")
_MEMORY_MARGIN = 1.2
_LEAST_GAIN = 1.1


@dataclass(frozen=True)
class TrialForecast:
    """One trial's seconds, and megabytes in memory and on disk.

    Attributes:
        pairs: training images, of two views each, in all steps.
        evaluated: images that its evaluations embed.
    """

    seconds: float
    memory_mb: float
    disk_mb: float
    pairs: int
    evaluated: int


@dataclass(frozen=True)
class Forecast:
    """A study's cost.

    Attributes:
        trials: one each, in the order of the grid.
        at_once: how many run side by side.
        compile_s: seconds that compiling takes, of every kind of trial once; all workers wait.
        not_compiled: whether it failed for any of them.
    """

    trials: tuple[TrialForecast, ...]
    at_once: int
    compile_s: float = 0.0
    not_compiled: bool = False

    @property
    def seconds(self) -> float:
        """From start to end, all workers busy but for the longest trial."""
        seconds = [trial.seconds for trial in self.trials]
        return START_S + self.compile_s + max(sum(seconds) / self.at_once, max(seconds))

    def fitting(self, seconds: float) -> int:
        """How many of the trials, from the first on, fit into this time."""
        total = longest = 0.0
        for count, trial in enumerate(self.trials):
            total, longest = total + trial.seconds, max(longest, trial.seconds)
            if START_S + self.compile_s + max(total / self.at_once, longest) > seconds:
                return count
        return len(self.trials)

    def lines(self) -> str:
        """A table: per trial, and in total."""
        seconds = [trial.seconds for trial in self.trials]
        memory = [trial.memory_mb for trial in self.trials]
        disk = [trial.disk_mb for trial in self.trials]
        most = max(memory)
        return markdown_table(
            ["forecast", "a trial, median", "largest", "in total"],
            [
                ["time", clock(median_high(seconds)), clock(max(seconds)), clock(self.seconds)],
                [
                    "memory, MB",
                    *_figures(median_high(memory), most, most * self.at_once),
                ],
                ["disk, MB", *_figures(median_high(disk), max(disk), sum(disk))],
            ],
        )


def shape(config: TrialConfig) -> str:
    """A key that is equal for configurations whose steps and evaluations cost the same."""
    plain = config.to_dict()
    return json.dumps({key: plain[key] for key in plain if key not in _FREE}, sort_keys=True)


def shapes(configs: Sequence[TrialConfig]) -> dict[str, TrialConfig]:
    """One configuration of every shape."""
    found: dict[str, TrialConfig] = {}
    for config in configs:
        found.setdefault(shape(config), config)
    return found


def forecast(
    configs: Sequence[TrialConfig],
    costs: Mapping[str, Cost],
    train_images: Callable[[TrialConfig], int],
    test_images: int,
    at_once: int,
) -> Forecast:
    """Multiply out. ``costs`` by ``shape``; ``train_images`` of a configuration's split."""
    kinds = [costs[key] for key in shapes(configs)]
    return Forecast(
        tuple(
            _trial(config, costs[shape(config)], train_images(config), test_images)
            for config in configs
        ),
        at_once,
        sum(cost.compile_s for cost in kinds),
        any(cost.not_compiled for cost in kinds),
    )


def check_hours(found: Forecast, hours: float, configs: Sequence[TrialConfig]) -> None:
    """Raise an InputError if the forecast exceeds this many hours.

    Raises:
        InputError: it would; the message says how many trials or how short a training would fit.
    """
    if found.seconds <= hours * 3600:
        return
    count = found.fitting(hours * 3600)
    budget, unit = configs[0].budget, configs[0].budget_unit
    fixed = START_S + found.compile_s + OVERHEAD_S * len(configs) / found.at_once
    share = (hours * 3600 - fixed) / max(found.seconds - fixed, 1e-9)
    shorter = math.floor(budget * share)
    fits = [f"the first {count} of {len(configs)} trials (fewer --classes or --seeds)"] * (
        count > 0
    )
    fits += [f"--{unit} {shorter}, about"] * (shorter > 0)
    raise InputError(
        f"the forecast is {found.seconds / 3600:.2f} hours, --max-hours is {hours:g}; "
        + (f"what would fit: {', or '.join(fits)}" if fits else "not even one trial fits")
    )


def gpu_share(measured: Callable[[int], Cost], device_mb: float) -> float:
    """The fraction of a GPU to give to each trial; ``measured`` runs so many in one process.

    Doubles their number as long as they fit into memory with a margin of a fifth, and add at least
    a tenth to the device's steps a second.

    Raises:
        InputError: not even one fits.
    """
    cost, copies = measured(1), 1
    if cost.memory_mb * _MEMORY_MARGIN > device_mb:
        raise InputError(
            f"a trial needs {cost.memory_mb:.0f} MB and the GPU has {device_mb:.0f}; "
            "use a smaller batch_size or width"
        )
    while 2 * copies <= MOST_STREAMS and 2 * copies * cost.memory_mb * _MEMORY_MARGIN <= device_mb:
        more = measured(2 * copies)
        if 2 * copies / more.step_s < _LEAST_GAIN * copies / cost.step_s:
            break
        cost, copies = more, 2 * copies
    return 1 / copies


def _trial(config: TrialConfig, cost: Cost, train_images: int, test_images: int) -> TrialForecast:
    schedule = plan(config, train_images)
    evaluations = len(schedule.evaluate_after)
    images = train_images + test_images + config.probe_images
    scores = len(available()) * 8 / 2**20
    return TrialForecast(
        seconds=schedule.total_steps * cost.step_s
        + evaluations * images * cost.evaluate_s
        + OVERHEAD_S,
        memory_mb=cost.memory_mb,
        disk_mb=cost.disk_mb + scores * (test_images + evaluations * 3 * len(config.layers)),
        pairs=schedule.total_steps * config.batch_size,
        evaluated=evaluations * images,
    )


def _figures(*values: float) -> list[str]:
    return [f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in values]
