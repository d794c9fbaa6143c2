"""A raylet, or a whole host with all that runs on it, is killed under a study."""

import itertools
import random
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.faults.lab import Outcome, disturbed, newest, pause, seeded, start, stores, wait_for

KINDS = ("raylet", "host")
ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # else Ray takes a host's own address


def kill_nodes(
    folder: Path, reference: Path, moments: random.Random, repeats: int, kinds: tuple[str, ...]
) -> Outcome:
    """Of a cluster of a head and two hosts, kill one at random moments and put another in its
    place, until it has been done ``repeats`` times; in one of these ways after the other.
    """
    outcome, in_turn = Outcome(), itertools.cycle(kinds)
    for store in stores(folder, lambda: outcome.injections < repeats):
        with cluster() as (made, hosts):
            how = ("--address", made.address, "--retries", "100", "--concurrency", "2")
            study = start(store, *how, env=ENVIRONMENT, forked=False)
            wait_for(lambda path=store: newest(path), "a first epoch")  # all hosts were asked

            def replace_one(made=made, hosts=hosts):
                host = hosts.pop(moments.randrange(len(hosts)))
                kill(host, next(in_turn))
                made.remove_node(host, allow_graceful=False)
                hosts.append(made.add_node(num_cpus=1))

            disturbed(study, store, outcome, repeats, lambda: pause(moments, 6), replace_one)
        outcome.compare(store, reference)
    return outcome


@contextmanager
def cluster():
    """A head that runs no trial, and two hosts of one core."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            yield made, [made.add_node(num_cpus=1) for _ in range(2)]
        finally:
            made.shutdown()


def kill(host, kind: str) -> None:
    raylet = psutil.Process(host.all_processes["raylet"][0].process.pid)
    below = raylet.children(recursive=True)
    if kind == "host":
        raylet.suspend()  # a host dies at once: nothing of it may say goodbye
        for process in below:
            with_signal(process)
    with_signal(raylet)


def with_signal(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


def test_trials_go_on_elsewhere(reference, tmp_path):
    """After a raylet was killed, then after a host was with all that ran on it."""
    kill_nodes(tmp_path, reference, seeded(), 2, KINDS).assert_nothing_lost(2)
