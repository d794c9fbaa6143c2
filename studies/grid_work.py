"""The trials of a grid: planned at once, run in order, skipped when they are done."""

import argparse
from collections.abc import Mapping

from nsa_core import TrialConfig
from studies import options as command
from studies import runner
from studies.ledger_queue import Queue
from studies.progress import Progress
from studies.resources import Placement
from studies.study import Study, build_grid
from tracking import Store


class GridWork:
    """What ``cli`` runs of a study."""

    def __init__(self, study: Study, options: argparse.Namespace) -> None:
        self.name, self.title, self.report = study.name, study.title, study.report
        self.grid = build_grid(
            study,
            options.preset,
            dataset=options.dataset,
            data_root=options.data_root,
            classes=options.classes.split(",") if options.classes else (),
            seeds=options.seeds,
            overrides=command.overrides(options),
            defaults=command.defaults(options),
        )
        self.configs = self.grid.configs
        self._retry_failed = options.retry_failed
        self._trials: dict[str, TrialConfig] = {}
        self._left: list[str] = []

    def begin(self, store: Store) -> int:
        """Write every trial to the store, say what was done before; how many are left."""
        self._trials = runner.register(store, self.grid)
        self._left = runner.to_run(store, self._trials, self._retry_failed)
        interrupted = sum(store.trial(key).checkpoint.exists() for key in self._left)
        done = len(self._trials) - len(self._left)
        text = f"{len(self._trials)} trials: {done} done before, {len(self._left)} to run"
        text += f", {interrupted} of them from a checkpoint" if interrupted else ""
        print(text, flush=True)
        return len(self._left)

    def run(self, store: Store, how: runner.RunOptions, placement: Placement) -> None:
        """Run those that are left, in the order of the grid."""
        work = {key: runner.work(self._trials[key]) for key in self._left}
        runner.run(
            store,
            Queue(self._left, runner.worker_config(store, how, placement)),
            how,
            placement,
            Progress(len(work), sum(work.values()), work.__getitem__),
        )

    def trials(self, store: Store) -> Mapping[str, TrialConfig]:
        """All trials of the grid by id."""
        return self._trials
