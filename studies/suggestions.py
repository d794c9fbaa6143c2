"""Optuna's suggestions as trials of the ledger, so that an interrupted search goes on.

Ray's own ``OptunaSearch`` forgets a trial that was interrupted and counts one that a scheduler
stopped as complete. Here Optuna's storage and the ledger are the truth, and are reconciled at
every start.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from nsa_core import InputError
from studies.object_journal import ObjectJournal
from studies.selection import goodness, last_value
from tracking import ENDED, Store
from tracking.storage import ObjectPath, StorePath

TRIAL_ID = "trial_id"
_PURPOSE = "nsa_search"
_ATTEMPTS = 50
_SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True
    ),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def samplers() -> list[str]:
    """Names of the ways to suggest."""
    return sorted(_SAMPLERS)


def open_storage(where: str | StorePath) -> BaseStorage:
    """Optuna's storage: a journal, or a database by its URL."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if isinstance(where, str) and "://" in where:
        return get_storage(where)
    if isinstance(where, ObjectPath):
        return JournalStorage(ObjectJournal(where))
    Path(where).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(where)))


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
        made = optuna.create_study(
            storage=storage, study_name=name, directions=["maximize"] * objectives
        )
        made.set_user_attr(_PURPOSE, dict(purpose))
    study = optuna.load_study(study_name=name, storage=storage)
    found = study.user_attrs.get(_PURPOSE, {})
    for key in purpose:
        if found.get(key) != purpose[key]:
            raise InputError(
                f"the Optuna storage of {name!r} belongs to another search: its {key} is "
                f"{found.get(key)}, asked for now is {purpose[key]}; give another --store, or the "
                "options of then"
            )
    # a seed of its own for every start, or a search that goes on would suggest the same again
    study.sampler = _SAMPLERS[sampler](seed + len(study.get_trials(deepcopy=False)))
    return study


class Suggestions(Searcher):  # type: ignore[misc]
    """Hands out interrupted trials first, then what Optuna suggests, until there are enough.

    Args:
        study: of Optuna; its directions are all "maximize".
        space: what it suggests values for.
        objectives: names of ``selection.SIGNALS``.
        store: where trials are recorded, and their signals read. No other result is.
        create: writes the trial of a suggestion to the store and plans it; returns its id.
        wanted: how many trials the search is to have in all.

    Attributes:
        worker: the rest of a worker's configuration; set it before the search runs.
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
        super().__init__()
        self._study, self._space, self._objectives = study, dict(space), objectives
        self._store, self._create, self._wanted = store, create, wanted
        self.worker: dict[str, Any] = {}
        self._running: dict[str, tuple[int, str]] = {}  # Ray's id to Optuna's number and ours
        self._interrupted = self.reconcile()

    @property
    def left(self) -> int:
        """Trials that are still to run, interrupted ones included."""
        counted = [t for t in self._study.get_trials(deepcopy=False) if _counts(t)]
        ended = sum(trial.state is not TrialState.RUNNING for trial in counted)
        return max(0, self._wanted - ended)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next worker's configuration; ``trial_id`` is Ray's own name for it."""
        if self._interrupted:
            number = self._interrupted.pop(0)
            key = self._study.get_trials(deepcopy=False)[number].user_attrs[TRIAL_ID]
        elif sum(map(_counts, self._study.get_trials(deepcopy=False))) >= self._wanted:
            return self.FINISHED
        else:
            asked = self._ask()
            if asked is None:
                return self.FINISHED
            number, key = asked
        self._running[trial_id] = number, key
        return {**self.worker, "trial_id": key}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna what the ledger says; a trial that has not ended there was stopped.

        One that Ray gave up is told only once it has ended there, for it may be run again.
        """
        number, key = self._running.pop(trial_id)
        if not error:
            self._tell(number, key)

    def reconcile(self) -> list[int]:
        """Tell Optuna of trials that ended while nobody told it; the numbers of those that go on.

        The ledger is told of trials that a scheduler stopped while nobody wrote it there.
        """
        go_on = []
        for trial in self._study.get_trials(deepcopy=False):
            key = trial.user_attrs.get(TRIAL_ID)
            if trial.state is TrialState.RUNNING and key is None:
                self._study.tell(trial.number, state=TrialState.FAIL)  # died before it was ours
            elif trial.state is TrialState.RUNNING:
                if self._store.trial(key).state()["status"] in ENDED:
                    self._tell(trial.number, key)
                else:
                    go_on.append(trial.number)
            elif trial.state is TrialState.PRUNED and key is not None:
                record = self._store.trial(key)
                if record.state()["status"] not in ENDED:  # the driver died before it wrote this
                    with record.claim():
                        record.end("stopped", "by the scheduler")
        return go_on

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; what a second run reads is the ledger."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Never called: ``Tuner.restore`` is not used."""

    def _ask(self) -> tuple[int, str] | None:
        """A point that no trial has; None if Optuna finds no more, for a space can be small."""
        known = {trial.user_attrs.get(TRIAL_ID) for trial in self._study.get_trials(deepcopy=False)}
        for _ in range(_ATTEMPTS):
            trial = self._study.ask(self._space)
            key = self._create(trial.params)
            if key not in known:
                trial.set_user_attr(TRIAL_ID, key)
                return trial.number, key
            self._study.tell(trial, state=TrialState.FAIL)  # the very same point again
        return None

    def _tell(self, number: int, key: str) -> None:
        record = self._store.trial(key)
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


def _counts(trial: FrozenTrial) -> bool:
    """Is it one of the search's trials, not one that never became a trial of the ledger?"""
    return TRIAL_ID in trial.user_attrs
