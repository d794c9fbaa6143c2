"""A raylet, or a whole host with all that runs on it, is killed under a study."""

import random
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.faults.lab import Outcome, disturbed, newest, seeded, start, stores, wait_for

KINDS = ("raylet", "host")


def kill_nodes(
    folder: Path, reference: Path, moments: random.Random, repeats: int, kind: str
) -> Outcome:
    """Of a cluster of a head and two hosts, kill one at random moments and put another in its
    place, until it has been done ``repeats`` times.
    """
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        with cluster() as (made, hosts):
            study = start(store, "--address", made.address, "--retries", "100")
            wait_for(lambda path=store: newest(path), "a first epoch")  # all hosts were asked

            def replace_one(made=made, hosts=hosts):
                host = hosts.pop(moments.randrange(len(hosts)))
                kill(host, kind)
                made.remove_node(host, allow_graceful=False)
                hosts.append(made.add_node(num_cpus=1))

            disturbed(study, store, outcome, repeats, lambda: moments.uniform(0, 6), replace_one)
        outcome.compare(store, reference)
    return outcome


@contextmanager
def cluster():
    """A head that runs no trial, and two hosts of one core."""
    with pytest.MonkeyPatch.context() as patch:
        # Else Ray takes a host's own address, here and in the study.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
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


@pytest.mark.parametrize("kind", KINDS)
def test_trials_go_on_elsewhere(kind, reference, tmp_path):
    kill_nodes(tmp_path, reference, seeded(), 2, kind).assert_nothing_lost(2)
