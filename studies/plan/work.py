"""The trials of a grid: planned at once, run in order, skipped when they are done."""

import argparse
from collections.abc import Iterable

from nsa_core import TrialConfig
from studies.cluster.progress import Progress
from studies.cluster.queue import Listed
from studies.plan.grid import build_grid
from studies.plan.hardware import defaults
from studies.plan.options import overrides
from studies.plan.study import Study
from studies.trial.register import register, unfinished
from tracking import Store


class GridWork:
    """The work of a grid study; see ``studies.conduct.Work``."""

    early_stop = None

    def __init__(self, study: Study, options: argparse.Namespace) -> None:
        self.name, self.title, self._layout = study.name, study.title, study.layout
        self._grid = build_grid(
            study,
            options.preset,
            dataset=options.dataset,
            data_root=options.data_root,
            classes=options.classes or (),
            seeds=options.seeds,
            overrides=overrides(options),
            defaults=defaults(options),
        )
        self.configs, self.absent = self._grid.configs, self._grid.data.absent
        self._retry_failed = options.retry_failed
        self._trials: dict[str, TrialConfig] = {}

    def begin(self, store: Store) -> Listed:
        """Write every trial to the store; those that are left, in the order of the grid."""
        self._trials = {register(store, each, self._grid.data): each for each in self.configs}
        store.plan(self.name, self._trials, {"title": self.title, **self._layout.about()})
        left = unfinished(store, self._trials, self._retry_failed)
        interrupted = sum(store.trial(key).checkpoint.exists() for key in left)
        done = len(self._trials) - len(left)
        text = f"{len(self._trials)} trials: {done} done before, {len(left)} to run"
        text += f", {interrupted} of them from a checkpoint" if interrupted else ""
        print(text, flush=True)
        work = {key: images_to_train(self._trials[key]) for key in left}
        self.progress = Progress(len(work), sum(work.values()), work.__getitem__)
        return Listed(left)

    def finish(self) -> None:
        """Nothing is left to do after the last trial."""

    def trial_ids(self, store: Store) -> Iterable[str]:
        """Of all trials of the grid."""
        return self._trials


def images_to_train(config: TrialConfig) -> float:
    """How long a training is, up to a factor that trials of equal classes share."""
    images = config.batch_size if config.budget_unit == "steps" else 1
    return float(config.budget * images)
