"""Optuna's suggestions as trials of the store, so that an interrupted search goes on.

Ray's own ``OptunaSearch`` forgets a trial that was interrupted and counts one that a scheduler
stopped as complete. Here the store is the truth: at every start Optuna is told of trials that it
has lost, and of how trials ended.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nsa_core import InputError
from nsa_core.errors import first_line
from studies.search.damage import mend
from studies.search.journal import ObjectJournal, parts_of
from studies.search.matching import TRIAL_ID, matched
from tracking import ENDED, Store
from tracking.files.door import refuse_links
from tracking.files.objects import ObjectPath
from tracking.files.place import StorePath
from tracking.selection import goodness, last_value
from tracking.text import without_passwords

_PURPOSE = "nsa_search"
_ATTEMPTS = 50


def open_storage(where: str | StorePath) -> BaseStorage:
    """Optuna's storage: a journal, mended where it is damaged, or a database by its URL."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if isinstance(where, str) and "://" in where:
        try:
            return get_storage(where)
        except Exception as error:  # of any of the databases that it knows
            reason = without_passwords(first_line(error))
            raise InputError(
                f"--storage is {without_passwords(where)!r}, which Optuna cannot open ({reason})"
            ) from error
    if isinstance(where, ObjectPath):
        mend(parts_of(where))
        return JournalStorage(ObjectJournal(where))
    path = Path(where).absolute()
    refuse_links(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # of a driver that was killed
    mend([path] if os.path.lexists(path) else [])
    return JournalStorage(JournalFileBackend(str(path)))


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    purpose: Mapping[str, Any],
    objectives: int,
    sampler: str,
    seed: int,
) -> optuna.Study:
    """The study of this name, made where there is none.

    ``purpose`` says what is searched, where, and by what, in plain values.

    Raises:
        InputError: the storage holds another study, or this one with another purpose.
    """
    held = optuna.get_all_study_names(storage)
    if held and name not in held:
        raise InputError(
            f"the Optuna storage holds the study {held[0]!r}, not {name!r}; give another "
            "--storage or --store"
        )
    if not held:
        optuna.create_study(storage=storage, study_name=name, directions=["maximize"] * objectives)
    study = optuna.load_study(study_name=name, storage=storage)
    if not study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(_PURPOSE, dict(purpose))
    found = study.user_attrs.get(_PURPOSE, {})
    for key in purpose:
        if found.get(key) != purpose[key]:
            raise InputError(
                f"the Optuna storage of {name!r} belongs to another search: its {key} is "
                f"{found.get(key)}, asked for now is {purpose[key]}; give another --store, or the "
                "options of then"
            )
    # a seed of its own for every start, or a search that goes on would suggest the same again
    study.sampler = _sampler(sampler, seed + len(study.get_trials(deepcopy=False)))
    return study


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


class Suggestions:
    """Source of trials: interrupted ones first, then Optuna's suggestions, until there are enough.

    Args:
        study: of Optuna; its directions are all "maximize".
        space: what it suggests values for.
        objectives: names of ``selection.SIGNALS``.
        store: where trials are recorded, and their signals read. No other result is.
        create: writes the trial of a suggestion to the store and plans it; returns its id.
        wanted: how many trials the search is to have in all.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Mapping[str, BaseDistribution],
        objectives: Sequence[str],
        store: Store,
        create: Callable[[Mapping[str, Any]], str],
        wanted: int,
    ) -> None:
        self._study, self._space, self._objectives = study, dict(space), objectives
        self._store, self._create, self._wanted = store, create, wanted
        self._numbers: dict[str, int] = {}  # id of a trial of the search to Optuna's number
        self._running: set[str] = set()
        self._interrupted = self.reconcile()

    @property
    def left(self) -> int:
        """Trials that are still to run, interrupted ones included."""
        under_way = len(self._interrupted) + len(self._running)
        return max(under_way, self._wanted - len(self._numbers) + under_way)

    def next(self) -> str | None:
        """The id of the next trial; None if there are enough."""
        if self._interrupted:
            key: str | None = self._interrupted.pop(0)
        else:
            key = self._ask() if len(self._numbers) < self._wanted else None
        if key:
            self._running.add(key)
        return key

    def ended(self, trial_id: str) -> None:
        """Tell Optuna what the store says; a trial that has not ended there was stopped."""
        self._running.remove(trial_id)
        self._tell(trial_id)

    def reconcile(self) -> list[str]:
        """Bring Optuna up to date with the store; returns ids of trials to run on or again.

        The store is told of trials that a scheduler stopped while nobody wrote it there.
        """
        self._numbers = matched(self._study, self._space, self._store, self._create)
        trials = self._study.get_trials(deepcopy=False)
        go_on = []
        for key, number in self._numbers.items():
            record, state = self._store.trial(key), trials[number].state
            status = record.state()["status"]
            if status in ENDED:
                self._tell(key)
            elif state is TrialState.PRUNED and status == "running":
                with record.claim():  # the driver died before it wrote this
                    record.end("stopped", "by the scheduler")
            else:
                go_on.append(key)
        return go_on

    def _ask(self) -> str | None:
        """Ask for a new point; None if Optuna finds none, as in a small space."""
        for _ in range(_ATTEMPTS):
            trial = self._study.ask(self._space)
            key = self._create(trial.params)
            if key not in self._numbers:
                trial.set_user_attr(TRIAL_ID, key)
                self._numbers[key] = trial.number
                return key
            self._study.tell(trial, state=TrialState.FAIL)  # the very same point again
        return None

    def _tell(self, key: str) -> None:
        number, record = self._numbers[key], self._store.trial(key)
        if self._study.get_trials(deepcopy=False)[number].state.is_finished():
            return  # it was told before
        status = record.state()["status"]
        rows = record.signals()
        values = [last_value(rows, name) for name in self._objectives]
        if status == "finished" and None not in values:
            good = [
                goodness(value, name)
                for value, name in zip(values, self._objectives, strict=True)
                if value is not None
            ]
            self._study.tell(number, good)
        elif status == "failed":
            self._study.tell(number, state=TrialState.FAIL)
        else:  # stopped, collapsed or diverged: as bad as can be
            self._study.tell(number, state=TrialState.PRUNED)
