"""Fractions of GPUs: refused when they mean nothing, widened when that wastes nothing."""

import pytest

from nsa_core import InputError
from studies.resources import Resources, place


@pytest.mark.parametrize("gpus", [0, 0.1, 0.25, 1, 2, 8])
def test_what_ray_can_give_is_accepted(gpus):
    assert Resources(1, gpus).gpus == gpus


@pytest.mark.parametrize("gpus", [1.5, -0.5, float("nan"), float("inf")])
def test_impossible_fractions_are_refused_by_value(gpus):
    with pytest.raises(InputError, match=f"gpus per trial is {gpus}"):
        Resources(1, gpus)


@pytest.mark.parametrize("cpus", [0, -1, 1.5])
def test_impossible_core_counts_are_refused(cpus):
    with pytest.raises(InputError, match="cpus per trial"):
        Resources(cpus, 0)


def test_without_gpus_the_cores_decide():
    assert place(Resources(1), cpus=2, gpus=0, trials=24).at_once == 2
    assert place(Resources(2), cpus=7, gpus=4, trials=24).at_once == 3
    assert place(Resources(1), cpus=8, gpus=0, trials=24, concurrency=3).at_once == 3
    assert place(Resources(1), cpus=8, gpus=0, trials=2).at_once == 2


def test_few_trials_are_spread_over_all_gpus():
    # Ray alone packs 8 trials of 0.25 on two of these four GPUs
    plan = place(Resources(1, 0.25), cpus=64, gpus=4, trials=8)
    assert (plan.resources.gpus, plan.at_once) == (0.5, 8)
    assert "each gets 0.5 of one instead of 0.25" in plan.note


def test_a_share_that_wastes_the_rest_of_a_gpu_is_widened():
    plan = place(Resources(1, 0.6), cpus=64, gpus=2, trials=100)
    assert (plan.resources.gpus, plan.at_once) == (1.0, 2)
    plan = place(Resources(1, 0.3), cpus=64, gpus=2, trials=100)
    assert (plan.resources.gpus, plan.at_once) == (0.3333, 6)


def test_a_share_that_fits_is_left_alone():
    plan = place(Resources(1, 0.25), cpus=64, gpus=2, trials=100)
    assert (plan.resources.gpus, plan.at_once, plan.note) == (0.25, 8, "")


def test_whole_gpus():
    plan = place(Resources(1, 2), cpus=64, gpus=5, trials=100)
    assert (plan.resources.gpus, plan.at_once) == (2, 2)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.3, 0.34, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("gpus", [1, 2, 3, 8])
@pytest.mark.parametrize("trials", [1, 2, 5, 9, 100])
def test_planned_trials_fit_and_no_gpu_idles_while_trials_wait(share, gpus, trials):
    plan = place(Resources(1, share), cpus=1000, gpus=gpus, trials=trials)
    per_gpu = int(1 / plan.resources.gpus + 1e-9)
    assert plan.resources.gpus >= share - 1e-4
    assert plan.at_once <= per_gpu * gpus
    used_if_packed = -(-plan.at_once // per_gpu)
    assert used_if_packed == gpus or plan.at_once == trials


def test_no_room_is_an_error_that_says_what_to_do():
    with pytest.raises(InputError, match="--cpus-per-trial 2 or less"):
        place(Resources(4), cpus=2, gpus=0, trials=1)
    with pytest.raises(InputError, match="leave --gpus-per-trial out"):
        place(Resources(1, 0.5), cpus=2, gpus=0, trials=1)
    with pytest.raises(InputError, match="concurrency is 0"):
        place(Resources(1), cpus=2, gpus=0, trials=1, concurrency=0)
