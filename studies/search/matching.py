"""Which of Optuna's trials are which of the store's, and what either has lost."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from studies.search.space import point_of
from tracking import Store

TRIAL_ID = "trial_id"


def matched(
    study: optuna.Study,
    space: Mapping[str, BaseDistribution],
    store: Store,
    create: Callable[[Mapping[str, Any]], str],
) -> dict[str, int]:
    """Optuna's number of every trial of the search, by the trial's id.

    A trial of Optuna's is believed if the store has the same point under its id. Trials that
    Optuna does not know are told to it, as running; those that the store's plan does not are
    planned again by ``create``.

    Raises:
        InputError: a planned trial is at no point of the space.
    """
    planned = {}
    for key in store.members(study.study_name):
        record = store.trial(key)
        if (record.folder / "config.json").exists():
            planned[key] = point_of(space, record.definition()["config"])
    numbers: dict[str, int] = {}
    for trial in study.get_trials(deepcopy=False):
        key = trial.user_attrs.get(TRIAL_ID, "")
        if key and key not in planned and create(trial.params) == key:
            planned[key] = trial.params
        if key in planned and key not in numbers and _same(planned[key], trial.params):
            numbers[key] = trial.number
        elif trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)  # died before it was ours
    for key, point in planned.items():
        if key not in numbers:
            lost = create_trial(
                state=TrialState.RUNNING,
                params=point,
                distributions=dict(space),
                user_attrs={TRIAL_ID: key},
            )
            study.add_trial(lost)
            numbers[key] = study.get_trials(deepcopy=False)[-1].number
    return numbers


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two points are equal; a storage makes lists of tuples."""
    plain_one, plain_other = (json.loads(json.dumps(dict(point))) for point in (one, other))
    return bool(plain_one == plain_other)
