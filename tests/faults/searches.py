"""A search is killed, and its journal damaged as by a full or failing disk, again and again."""

import random
import time
from functools import partial
from pathlib import Path

from studies.hyperparameter_search import STUDY
from studies.search.matching import TRIAL_ID
from studies.search.suggestions import open_storage, open_study
from tests.faults.lab import HANG_S, Driver, Outcome, interrupted, next_epoch, pause, stores
from tests.studies.conftest import OPTIONS, ROOT
from tests.studies.forked import Forked
from tracking import open_store
from tracking.selection import goodness, last_value

TRIALS, EPOCHS, SIGNAL = 8, 6, "alignment"
SEARCH = ["--preset", "quick", "--epochs", str(EPOCHS), "--trials", str(TRIALS)]
SEARCH += ["--objectives", SIGNAL, "--concurrency", "1", "--set", f"method_options={OPTIONS}"]
SEARCH += ["--set", "width=8", "--set", "depth=10", "--set", "evaluations=3"]
NAME = STUDY.name


def strike_searches(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Kill searches at random moments, and damage the journal each time.

    There is no undisturbed one to compare with, as what is asked next depends on what has ended.
    Lost are trials without all of their rows, doubled are those beyond what was asked for,
    different those that Optuna knows with another value than the store.
    """
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        begin = partial(_begin, store)
        strike = partial(_strike, store=store, moments=moments, outcome=outcome)
        interrupted(begin, store, outcome, repeats, strike)
        _compare(store, outcome)
    return outcome


def _begin(store: Path) -> Forked:
    words = store.with_suffix(".out"), store.with_suffix(".err")
    store.parent.mkdir(parents=True, exist_ok=True)
    return Forked([*SEARCH, "--store", str(store)], ROOT, *words, study="SEARCH")


def _strike(study: Driver, store: Path, moments: random.Random, outcome: Outcome) -> int:
    next_epoch(store, study)
    time.sleep(pause(moments, 5))
    if study.poll() is not None:
        return 0
    at = time.time_ns()
    study.kill()
    study.wait(timeout=HANG_S)
    journal = store / "optuna" / f"{NAME}.journal"
    content = journal.read_bytes()
    cut = moments.randrange(len(content))
    damages = {
        "cut": content[:cut],
        "NULs": content[:cut] + b"\0" * (len(content) - cut),
        "garbage": content[:cut] + moments.randbytes(200) + content[cut + 200 :],
        "lost": b"",
    }
    how = moments.choice([*damages])
    journal.write_bytes(damages[how])
    outcome.notes[f"journal {how}"] += 1
    return at


def _compare(path: Path, outcome: Outcome) -> None:
    store = open_store(path)
    members = store.members(NAME)
    rows = {key: store.trial(key).signals() for key in members}
    ended = [key for key in members if rows[key] and rows[key][-1]["epoch"] == EPOCHS]
    outcome.lost += max(0, TRIALS - len(ended))
    storage = open_storage(path / "optuna" / f"{NAME}.journal")
    study = open_study(storage, NAME, purpose={}, objectives=1, sampler="tpe", seed=0)
    told = [trial for trial in study.trials if TRIAL_ID in trial.user_attrs]
    known = [trial.user_attrs[TRIAL_ID] for trial in told]
    outcome.doubled += len(members) - TRIALS + len(known) - len(set(known))
    for trial in told:
        value = last_value(rows[trial.user_attrs[TRIAL_ID]], SIGNAL)
        outcome.different += trial.values is not None and trial.values != [goodness(value, SIGNAL)]
