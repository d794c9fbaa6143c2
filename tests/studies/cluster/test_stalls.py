"""Which workers hang: those without an epoch and without work, while the driver looks."""

from types import SimpleNamespace

import pytest

from studies.cluster.stalls import Stalls

LIMIT_S, LONGEST_S = 600.0, 4.0


@pytest.fixture
def trial():
    """A trial of Tune's, as far as it is looked at: its worker, and what that has told last."""
    state = SimpleNamespace(ray_actor="worker 1")
    return SimpleNamespace(trial_id="a", temporary_state=state, last_result={"cpu_s": 20.0})


def hangs_after(trial, each_look=lambda seconds: None, until_s=2000) -> int | None:
    """After how many seconds, looked at every two, it is found to hang."""
    stalls = Stalls(LIMIT_S, LONGEST_S)
    for seconds in range(0, until_s, 2):
        each_look(seconds)
        if stalls.look(2.0, [trial]):
            return seconds
    return None


def test_who_does_nothing_is_found_once_the_time_is_over(trial):
    assert hangs_after(trial) == 602


def test_so_is_one_that_stopped_after_an_epoch(trial):
    def told(seconds):
        trial.last_result = {"epoch": min(seconds, 100), "progress": 0.1, "cpu_s": 20.0}

    assert hangs_after(trial, told) == 702


@pytest.mark.parametrize(("cores", "hangs"), [(1.0, False), (0.2, False), (0.02, True)])
def test_who_works_is_waited_for_however_long_an_epoch_takes(trial, cores, hangs):
    def told(seconds):
        trial.last_result = {"epoch": 1, "progress": 0.1, "cpu_s": cores * seconds}

    assert (hangs_after(trial, told) is not None) == hangs


def test_a_fresh_worker_has_the_whole_time(trial):
    def restarted(seconds):
        if seconds == 500:
            trial.temporary_state.ray_actor, trial.last_result = "worker 2", {"cpu_s": 1.0}

    assert hangs_after(trial, restarted) == 1102


def test_one_that_waits_for_a_worker_does_not_hang(trial):
    trial.temporary_state.ray_actor = None
    assert hangs_after(trial) is None


def test_time_in_which_the_driver_was_stopped_does_not_count(trial):
    stalls = Stalls(LIMIT_S, LONGEST_S)
    assert not stalls.look(2.0, [trial])
    for _ in range(100):
        assert not stalls.look(3600.0, [trial])


def test_who_hangs_is_named_once_in_that_time(trial):
    stalls = Stalls(LIMIT_S, LONGEST_S)
    found = [bool(stalls.look(2.0, [trial])) for _ in range(700)]
    assert sum(found) == 2
