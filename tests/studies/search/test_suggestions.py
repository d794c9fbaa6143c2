"""Optuna's suggestions as trials of the ledger: a real storage, a real store, no training."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from nsa_core import InputError, TrialConfig
from studies.search.space import configured
from studies.search.suggestions import Suggestions, open_storage, open_study
from studies.trial.data import Data
from studies.trial.register import register
from tracking import SIGNAL_COLUMNS, create_store

SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "norm": CategoricalDistribution(("none", "both")),
}
PURPOSE = {"width": 8, "data": "f"}


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


def optuna_study(store, **changes):
    given = {"purpose": PURPOSE, "objectives": 1, "sampler": "tpe", "seed": 0, **changes}
    return open_study(open_storage(store.root / "optuna" / "s.journal"), "s", **given)


def suggestions(store, wanted=4, space=SPACE, **changes) -> Suggestions:
    def made(values):
        key = register(store, configured({"batch_size": 16}, values), Data("f", ("0",) * 10))
        store.plan("s", [key])
        return key

    objectives = ["loss"] * changes.get("objectives", 1)
    return Suggestions(optuna_study(store, **changes), space, objectives, store, made, wanted)


def end(store, key, status="finished", loss=0.5, scores=True) -> None:
    record = store.trial(key)
    with record.claim():
        record.begin({})
        names = [name for name in SIGNAL_COLUMNS if name not in ("trial_id", "epoch", "step")]
        row = dict.fromkeys(names, 1.0) | {"collapsed": False, "loss": loss}
        record.add({**row, "epoch": 3, "step": 9}, [])
        if status:
            record.end(status)
    if not scores:
        (record.folder / "scores.parquet").write_text("nobody may read me")


def test_as_many_trials_as_wanted_and_their_signals_are_told(store):
    queue = suggestions(store, wanted=2)
    first, second = queue.next(), queue.next()
    assert first != second
    assert queue.next() is None
    end(store, first, loss=0.25, scores=False)
    queue.ended(first)
    end(store, second, "collapsed")
    queue.ended(second)
    trials = optuna_study(store).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert trials[0].value == -0.25  # lower is better, Optuna maximises
    assert queue.left == 0
    for key, trial in zip((first, second), trials, strict=True):
        config = TrialConfig.from_dict(store.trial(key).definition()["config"])
        assert config.learning_rate == trial.params["learning_rate"]
        assert config.norm == trial.params["norm"]


@pytest.mark.parametrize(
    ("status", "state"),
    [("diverged", TrialState.PRUNED), ("stopped", TrialState.PRUNED), ("failed", TrialState.FAIL)],
)
def test_what_did_not_finish_is_never_told_as_complete(store, status, state):
    queue = suggestions(store)
    key = queue.next()
    end(store, key, status)
    queue.ended(key)
    assert optuna_study(store).trials[0].state is state


def test_a_trial_that_ray_gave_up_and_that_ran_again_is_told_as_it_ended(store):
    queue = suggestions(store, wanted=2)
    again, failed = queue.next(), queue.next()
    end(store, failed, "failed")  # neither is told of
    assert queue.next() is None
    end(store, again, loss=0.25)
    assert queue.reconcile() == []
    trials = optuna_study(store).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert trials[0].value == -0.25


def test_a_second_run_hands_out_interrupted_trials_first(store):
    before = suggestions(store)
    keys = [before.next() for index in range(3)]
    end(store, keys[0])
    before.ended(keys[0])
    end(store, keys[1])  # it ended, and the driver died before it told Optuna
    after = suggestions(store)
    assert after.left == 2
    assert after.next() == keys[2]
    assert after.next() not in keys
    assert after.next() is None
    states = [trial.state for trial in optuna_study(store).trials]
    assert states[:2] == [TrialState.COMPLETE, TrialState.COMPLETE]


def test_a_trial_that_a_scheduler_stopped_is_marked_though_the_driver_died(store):
    before = suggestions(store)
    key = before.next()
    end(store, key, status=None)  # still running in the ledger
    before.ended(key)
    assert store.trial(key).state()["status"] == "running"
    suggestions(store)
    assert store.trial(key).state()["status"] == "stopped"


def test_more_trials_are_added_to_those_that_are_there(store):
    queue = suggestions(store, wanted=1)
    key = queue.next()
    end(store, key)
    queue.ended(key)
    more = suggestions(store, wanted=3)
    assert more.left == 2
    keys = {more.next() for index in range(2)}
    assert len(keys | set(store.members("s"))) == 3


def test_the_same_point_again_is_not_a_second_trial(store):
    space = {"norm": CategoricalDistribution(("none", "both"))}
    queue = suggestions(store, wanted=2, space=space, sampler="random")
    keys = [queue.next() for index in range(2)]
    assert len(set(keys)) == 2


def test_a_space_with_fewer_points_than_wanted_ends(store):
    space = {"norm": CategoricalDistribution(("none", "both"))}
    queue = suggestions(store, wanted=3, space=space, sampler="random")
    assert queue.next() != queue.next()
    assert queue.next() is None


def test_several_objectives_are_told_together(store):
    queue = suggestions(store, objectives=2)
    key = queue.next()
    end(store, key, loss=0.125)
    queue.ended(key)
    assert optuna_study(store, objectives=2).trials[0].values == [-0.125, -0.125]


def test_another_study_in_the_storage_is_refused(store):
    suggestions(store)
    storage = open_storage(store.root / "optuna" / "s.journal")
    with pytest.raises(InputError, match="holds the study 's', not 'other'"):
        open_study(storage, "other", purpose=PURPOSE, objectives=1, sampler="tpe", seed=0)


def test_the_same_study_with_another_purpose_is_refused(store):
    suggestions(store)
    with pytest.raises(InputError, match="another search: its width is 8, asked for now is 16"):
        optuna_study(store, purpose=PURPOSE | {"width": 16})
