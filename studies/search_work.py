"""The trials of a search: what Optuna asks for, until there are as many as wanted."""

import argparse
from collections.abc import Mapping
from typing import Any

from optuna.distributions import distribution_to_json
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from nsa_core import InputError, TrialConfig, class_index, load_images
from nsa_core.errors import unknown
from nsa_core.training import plan
from studies import options as command
from studies import runner
from studies.progress import Progress
from studies.resources import Placement
from studies.search import Search, check_space, configured, middle
from studies.selection import SIGNALS
from studies.study import data_of
from studies.suggestions import Suggestions, open_storage, open_study, samplers
from studies.trial import split_of
from tracking import Store


def add_search_options(made: argparse.ArgumentParser) -> None:
    """What a search takes beside the options of every study."""
    search = made.add_argument_group("how to search")
    search.add_argument("--trials", type=int, metavar="N", help="how many; default: the preset's")
    search.add_argument(
        "--objectives", default="held-out", metavar="A,B", help=f"signals: {', '.join(SIGNALS)}"
    )
    search.add_argument("--sampler", default="tpe", help=" | ".join(samplers()))
    search.add_argument(
        "--asha", metavar="SIGNAL", help="stop trials early that are behind by this signal"
    )
    search.add_argument("--storage", help="of Optuna, a file or a URL; default: in the store")


class SearchWork:
    """What ``cli`` runs of a search."""

    def __init__(self, search: Search, options: argparse.Namespace) -> None:
        if options.preset not in search.presets:
            raise unknown("preset", options.preset, search.presets)
        preset = search.presets[options.preset]
        self.name, self.title, self.report = search.name, search.title, search.report
        self._space, self._options = preset.space, options
        check_space(search.name, preset.space)
        self._objectives = _signals(options.objectives)
        if options.sampler not in samplers():
            raise unknown("sampler", options.sampler, samplers())
        if options.asha is not None and options.asha not in SIGNALS:
            raise unknown("signal", options.asha, SIGNALS)
        self._wanted = preset.trials if options.trials is None else options.trials
        if self._wanted < 1:
            raise InputError(f"--trials is {options.trials}; need at least 1")
        if options.seeds not in (None, 1):
            raise InputError(f"--seeds is {options.seeds}; a search has one seed, 0")
        dataset = options.dataset or preset.dataset
        train = load_images(dataset, "train", options.data_root)
        self._data = data_of(train, load_images(dataset, "test", options.data_root))
        classes = (options.classes or str(preset.normal_class)).split(",")
        if len(classes) != 1:
            raise InputError(f"--classes is {options.classes!r}; a search is for one class")
        changed = command.overrides(options)
        for key in changed.keys() & {name.partition(".")[0] for name in self._space}:
            raise InputError(f"{key!r} is in the space of {search.name}; it cannot be set")
        self._base: dict[str, Any] = {**command.defaults(options), **preset.base, **changed}
        self._base |= {"dataset": dataset, "normal_class": class_index(train, classes[0])}
        self.configs = (configured(self._base, middle(self._space)),) * self._wanted
        images = len(split_of(self.configs[0], options.data_root).train_images)
        self._epochs = plan(self.configs[0], images).epochs
        if "held-out" in (*self._objectives, options.asha) and not self.configs[0].held_out:
            raise InputError(
                "the signal 'held-out' needs images to hold out; --set held_out=0.1, for instance"
            )

    def begin(self, store: Store) -> int:
        """Open Optuna's study, reconcile it with the ledger, say what was done before."""
        purpose = {
            **self.configs[0].to_dict(),
            "space": {name: distribution_to_json(each) for name, each in self._space.items()},
            "objectives": self._objectives,
            "asha": self._options.asha,
            "data": self._data.fingerprint,
        }
        journal = store.root / "optuna" / f"{self.name}.journal"
        study = open_study(
            open_storage(self._options.storage or journal),
            self.name,
            purpose=purpose,
            objectives=len(self._objectives),
            sampler=self._options.sampler,
            seed=0,
        )
        about = {"title": self.title, **self.report.about()}
        store.plan(self.name, (), about)

        def create(values: Mapping[str, Any]) -> str:
            key = runner.create(store, configured(self._base, values), self._data)
            store.plan(self.name, [key])
            return key

        self._suggestions = Suggestions(
            study, self._space, self._objectives, store, create, self._wanted
        )
        left = self._suggestions.left
        print(f"{self._wanted} trials: {self._wanted - left} done before, {left} to run")
        return left

    def run(self, store: Store, how: runner.RunOptions, placement: Placement) -> None:
        """Run what is suggested, until there are as many trials as wanted."""
        worker = runner.worker_config(store, how, placement)
        self._suggestions.worker = {**worker, "stop_by": self._options.asha}
        progress = Progress(self._suggestions.left, self._suggestions.left, lambda key: 1.0)
        runner.run(store, self._suggestions, how, placement, progress, self._scheduler())
        self._suggestions.reconcile()

    def trials(self, store: Store) -> Mapping[str, TrialConfig]:
        """All trials of the search by id."""
        return {
            key: TrialConfig.from_dict(store.trial(key).definition()["config"])
            for key in store.members(self.name)
        }

    def _scheduler(self) -> TrialScheduler | None:
        if self._options.asha is None:
            return None
        return ASHAScheduler(
            time_attr="epoch",
            metric="signal",
            mode="max",
            max_t=self._epochs + 1,  # who gets there is finished, not stopped
            grace_period=max(1, self._epochs // 9),
            reduction_factor=3,
        )


def _signals(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in SIGNALS:
            raise unknown("signal", name, SIGNALS)
    return names
