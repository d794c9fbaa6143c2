"""Hosts are asked for the store. That one without it is refused, see ``test_three_hosts``."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from studies.cluster.hosts import check_every_host
from tests.studies.conftest import wait_for
from tracking import create_store


@pytest.fixture
def cluster():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        ray.init(address=made.address, log_to_driver=False)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def test_a_host_that_dies_while_it_is_asked_is_passed_over(cluster, tmp_path):
    store = create_store(tmp_path / "store")
    host = cluster.add_node(num_cpus=1)
    raylet = psutil.Process(host.all_processes["raylet"][0].process.pid)
    raylet.suspend()  # it will not answer
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(check_every_host, store)
        wait_for(
            # On a slow machine Ray may find the host dead before the head has answered.
            lambda: len(list(store.root.glob("probes/*/*"))) == 2 or asking.done(),
            "the head's answer",
        )
        raylet.kill()
        asking.result(timeout=300)
    assert not list(store.root.glob("probes/*"))
