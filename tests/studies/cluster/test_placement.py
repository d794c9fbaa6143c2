"""Fractions of GPUs: refused when they mean nothing, widened when that wastes nothing."""

from itertools import product

import pytest

from nsa_core import InputError
from studies.cluster.placement import Host, Resources, place


@pytest.mark.parametrize("gpus", [0, 0.1, 0.25, 1, 2, 8])
def test_what_ray_can_give_is_accepted(gpus):
    assert Resources(1, gpus).gpus == gpus


@pytest.mark.parametrize("gpus", [1.5, -0.5, float("nan"), float("inf")])
def test_impossible_fractions_are_refused_by_value(gpus):
    with pytest.raises(InputError, match=f"gpus per trial is {gpus}"):
        Resources(1, gpus)


def test_no_more_trials_share_a_gpu_than_there_are_streams():
    assert place(Resources(1, 1 / 32), one(64, 1), trials=64).resources.gpus == 0.0312
    with pytest.raises(InputError, match=r"gpus per trial is 0\.03; need at least 0\.03125"):
        Resources(1, 0.03)


@pytest.mark.parametrize("cpus", [0, -1, 1.5])
def test_impossible_core_counts_are_refused(cpus):
    with pytest.raises(InputError, match="cpus per trial"):
        Resources(cpus, 0)


def one(cpus, gpus=0):
    return [Host("alone", cpus, gpus)]


HEAD_AND_WORKERS = [Host("head", 4, 0), Host("left", 32, 4), Host("right", 32, 2)]


def test_without_gpus_the_cores_decide():
    assert place(Resources(1), one(2), trials=24).at_once == 2
    assert place(Resources(2), one(7, 4), trials=24).at_once == 3
    assert place(Resources(1), one(8), trials=24, concurrency=3).at_once == 3
    assert place(Resources(1), one(8), trials=2).at_once == 2


def test_a_trial_has_its_cores_on_one_host():
    hosts = [Host("a", 3), Host("b", 3), Host("c", 1)]  # 7 cores, but no third pair
    assert place(Resources(2), hosts, trials=24).at_once == 2
    with pytest.raises(InputError, match="no host has more than 3; use --cpus-per-trial 3"):
        place(Resources(4), hosts, trials=24)


def test_few_trials_are_spread_over_all_gpus():
    # Ray alone packs 8 trials of 0.25 on two of these four GPUs
    plan = place(Resources(1, 0.25), one(64, 4), trials=8)
    assert (plan.resources.gpus, plan.at_once) == (0.5, 8)
    assert "each gets 0.5 of one instead of 0.25" in plan.note


def test_a_share_that_wastes_the_rest_of_a_gpu_is_widened():
    plan = place(Resources(1, 0.6), one(64, 2), trials=100)
    assert (plan.resources.gpus, plan.at_once) == (1.0, 2)
    plan = place(Resources(1, 0.3), one(64, 2), trials=100)
    assert (plan.resources.gpus, plan.at_once) == (0.3333, 6)


def test_a_share_that_fits_is_left_alone():
    plan = place(Resources(1, 0.25), one(64, 2), trials=100)
    assert (plan.resources.gpus, plan.at_once, plan.note) == (0.25, 8, "")


def test_whole_gpus_are_of_one_host():
    plan = place(Resources(1, 2), one(64, 5), trials=100)
    assert (plan.resources.gpus, plan.asks) == (2, (2, 2))
    assert place(Resources(1, 2), [Host("a", 9, 1), Host("b", 9, 3)], trials=100).at_once == 1
    with pytest.raises(InputError, match="wants 4 GPU and no host has more than 3"):
        place(Resources(1, 4), [Host("a", 9, 2), Host("b", 9, 3)], trials=1)


def test_a_head_without_gpus_takes_no_trial_that_needs_one():
    plan = place(Resources(1, 0.25), HEAD_AND_WORKERS, trials=1000)
    assert (plan.at_once, plan.note) == (24, "")
    plan = place(Resources(16, 0.25), HEAD_AND_WORKERS, trials=1000)
    assert plan.at_once == 4
    assert place(Resources(1), HEAD_AND_WORKERS, trials=1000).at_once == 68


def test_a_host_with_too_few_cores_for_its_gpus_is_named():
    hosts = [Host("thin", 2, 4), Host("fat", 64, 2)]
    plan = place(Resources(1, 0.5), hosts, trials=100)
    assert (plan.at_once, plan.resources.gpus) == (6, 0.5)
    assert plan.note == (
        "host thin has 2 CPU cores: enough for 2 of the 8 trials that its 4 GPUs could take"
    )
    assert place(Resources(1, 0.5), hosts, trials=4).note.startswith("4 trials at once on 6 GPUs")
    with pytest.raises(InputError, match=r"host thin with 4 GPUs has 2; use --cpus-per-trial 2"):
        place(Resources(4, 0.5), [Host("thin", 2, 4), Host("head", 64)], trials=100)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.25, 0.3, 0.34, 0.5, 0.6, 1.0])
def test_a_brute_force_scheduler_like_rays_uses_every_gpu_before_any_twice(share):
    machines = [(1,), (2,), (8,), (4, 1), (2, 2, 4, 1)]
    for gpus, cores, trials in product(machines, [2, 3, 1000], [1, 2, 5, 9, 21, 1000]):
        assert_spread(share, gpus, cores, trials)


def assert_spread(share, gpus, cores, trials):
    hosts = [Host(str(number), cores, count) for number, count in enumerate(gpus)]
    plan = place(Resources(1, share), hosts, trials=trials)
    assert plan.resources.gpus >= share - 1e-4
    room = sum(min(cores, int(1 / share + 1e-9) * count) for count in gpus)
    assert plan.at_once == min(trials, room)
    loads = packed(plan.asks, gpus, cores)
    for host, count in zip(loads, gpus, strict=True):
        assert max(host) - min(host) <= 1 or sum(host) == cores < count * max(host)
        assert max(host) * plan.resources.gpus <= 1 + 1e-9
    with_cores = [load for host in loads if sum(host) < cores for load in host]
    assert not with_cores or max(with_cores) - min(with_cores) <= 1


def packed(asks, gpus, cores):
    """Trials by host and GPU, placed as Ray does: the host that has most left of its GPUs, by their
    sum; on it the fullest GPU that has room. Fails where that host would refuse."""
    left = [[10_000] * count for count in gpus]
    loads = [[0] * count for count in gpus]
    for ask in (round(10_000 * each) for each in asks):
        fit = [h for h in range(len(gpus)) if sum(left[h]) >= ask and sum(loads[h]) < cores]
        host = max(fit, key=lambda h: (sum(left[h]) - ask) / sum(left[h]))
        gpu = min(
            (g for g in range(gpus[host]) if left[host][g] >= ask), key=left[host].__getitem__
        )
        left[host][gpu] -= ask
        loads[host][gpu] += 1
    return loads


def test_equal_shares_would_leave_a_gpu_idle():
    assert packed([0.5] * 5, (4,), 9) == [[2, 2, 1, 0]]
    assert packed(place(Resources(1, 0.25), one(9, 4), trials=5).asks, (4,), 9) == [[2, 1, 1, 1]]


def test_no_room_is_an_error_that_says_what_to_do():
    with pytest.raises(InputError, match="--cpus-per-trial 2 or less"):
        place(Resources(4), one(2), trials=1)
    with pytest.raises(InputError, match="leave --gpus-per-trial out"):
        place(Resources(1, 0.5), one(2), trials=1)
    with pytest.raises(InputError, match="concurrency is 0"):
        place(Resources(1), one(2), trials=1, concurrency=0)
