"""The trials of a search: what Optuna asks for, until there are as many as wanted."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage

from nsa_core import InputError, load_splits
from nsa_core.errors import check_known, unknown
from nsa_core.training import plan
from studies.cluster.progress import Progress
from studies.cluster.run import EarlyStop
from studies.plan.classes import normal_classes
from studies.plan.hardware import defaults
from studies.plan.options import SAMPLERS, overrides
from studies.plan.search import Search
from studies.search.matching import TRIAL_ID
from studies.search.space import check_space, configured, middle, point_of
from studies.search.suggestions import Suggestions, open_storage, open_study
from studies.trial.data import data_of, split_of
from studies.trial.register import register
from tracking import Store
from tracking.selection import SIGNALS
from tracking.trial import trial_id


class SearchWork:
    """The work of a search; see ``studies.conduct.Work``."""

    def __init__(self, search: Search, options: argparse.Namespace) -> None:
        if options.preset not in search.presets:
            raise unknown("preset", options.preset, search.presets)
        preset = search.presets[options.preset]
        self.name, self.title, self._layout = search.name, search.title, search.layout
        self._space, self._options = preset.space, options
        check_space(search.name, preset.space)
        self._objectives = _signals(options.objectives)
        if options.sampler not in SAMPLERS:
            raise unknown("sampler", options.sampler, SAMPLERS)
        if options.asha is not None and options.asha not in SIGNALS:
            raise unknown("signal", options.asha, SIGNALS)
        self._wanted = preset.trials if options.trials is None else options.trials
        if self._wanted < 1:
            raise InputError(f"--trials is {options.trials}; need at least 1")
        if options.seeds not in (None, 1):
            raise InputError(f"--seeds is {options.seeds}; a search has one seed, 0")
        if options.retry_failed:
            raise InputError(
                "--retry-failed is for grids: Optuna is told once that a trial failed; "
                "raise --trials to have others in its place"
            )
        dataset = options.dataset or preset.dataset
        train, test = load_splits(dataset, options.data_root)
        self._data = data_of(train, test)
        self.absent = self._data.absent
        classes = normal_classes(train, test, options.classes or (), (preset.normal_class,))
        if len(classes) != 1:
            raise InputError(f"--classes is {options.classes!r}; a search is for one class")
        changed = overrides(options)
        for key in changed.keys() & {name.partition(".")[0] for name in self._space}:
            raise InputError(f"{key!r} is in the space of {search.name}; it cannot be set")
        self._base: dict[str, Any] = {**defaults(options), **preset.base, **changed}
        self._base |= {"dataset": dataset, "normal_class": classes[0]}
        self.configs = (configured(self._base, middle(self._space)),) * self._wanted
        images = len(split_of(self.configs[0], options.data_root).train_images)
        epochs = plan(self.configs[0], images).epochs
        self.early_stop = EarlyStop(options.asha, epochs) if options.asha else None
        if "held-out" in (*self._objectives, options.asha) and not self.configs[0].held_out:
            ways = "--set held_out=0.1, for instance"
            if len(np.unique(train.labels)) == 1:
                ways = "all training images are of one class; --objectives kappa, for instance"
            raise InputError(f"the signal 'held-out' needs images to hold out; {ways}")

    def begin(self, store: Store) -> Suggestions:
        """Open Optuna's study and reconcile it with the store; what it suggests next."""
        purpose = {
            **self.configs[0].to_dict(),
            "space": {name: distribution_to_json(each) for name, each in self._space.items()},
            "objectives": self._objectives,
            "asha": self._options.asha,
            "data": self._data.fingerprint,
        }
        journal = store.root / "optuna" / f"{self.name}.journal"
        storage = open_storage(self._options.storage or journal)
        self._check_lost(store, storage)
        study = open_study(
            storage,
            self.name,
            purpose=purpose,
            objectives=len(self._objectives),
            sampler=self._options.sampler,
            seed=len(store.members(self.name)),  # or one that lost its journal would repeat itself
        )
        store.plan(self.name, (), {"title": self.title, **self._layout.about()})

        def create(values: Mapping[str, Any]) -> str:
            key = register(store, configured(self._base, values), self._data)
            store.plan(self.name, [key])
            return key

        self._suggestions = Suggestions(
            study, self._space, self._objectives, store, create, self._wanted
        )
        left = self._suggestions.left
        done = max(0, self._wanted - left)
        print(f"{self._wanted} trials: {done} done before, {left} to run")
        self.progress = Progress(left, left, lambda key: 1.0)
        return self._suggestions

    def _check_lost(self, store: Store, storage: BaseStorage) -> None:
        """Raise an InputError if trials that Optuna does not know are of another search."""
        known: set[str] = set()
        if self.name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=self.name, storage=storage)
            known = {trial.user_attrs.get(TRIAL_ID, "") for trial in study.trials}
        for key in set(store.members(self.name)) - known:
            record = store.trial(key)
            if not (record.folder / "config.json").exists():
                continue
            try:
                values = point_of(self._space, record.definition()["config"])
                its_id = trial_id(configured(self._base, values).to_dict(), self._data.fingerprint)
            except InputError:
                its_id = ""
            if its_id != key:
                raise InputError(
                    f"trial {key} of {self.name} in {store.root} is of another search than is "
                    "asked for now; give another --store, or the options of then"
                )

    def finish(self) -> None:
        """Tell Optuna of trials that Ray gave up, and that were run again."""
        self._suggestions.reconcile()

    def trial_ids(self, store: Store) -> Iterable[str]:
        """Of all trials of the search, those of earlier runs included."""
        return store.members(self.name)


def _signals(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    check_known("signal", names, SIGNALS)
    return names
