"""Trials written to the store before they run, and which of them are left to run."""

from collections.abc import Iterable

from nsa_core import TrialConfig
from studies.trial.data import Data
from tracking import ENDED, Store
from tracking.trial import trial_id


def register(store: Store, config: TrialConfig, data: Data) -> str:
    """Write what a trial is to the store; returns its id."""
    key = trial_id(config.to_dict(), data.fingerprint)
    record = store.trial(key)
    name = data.class_names[config.normal_class]
    record.create(config.to_dict(), {"class_name": name, "data_fingerprint": data.fingerprint})
    return key


def unfinished(store: Store, trial_ids: Iterable[str], retry_failed: bool) -> list[str]:
    """Ids of the trials that have not ended; failed ones too if asked for."""
    again = {"failed"} if retry_failed else set()
    return [
        key
        for key in trial_ids
        if (status := store.trial(key).state()["status"]) not in ENDED or status in again
    ]
