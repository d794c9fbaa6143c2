"""Whether Ray is still there."""

import ray

from studies.cluster import session


def check_processes() -> None:
    """Raise a RayLostError if a process of Ray's has died that the driver has started."""
    if dead := session.dead_processes():
        raise session.lost(dead)


def check_ray() -> None:
    """Raise a RayLostError if Ray has died beside the driver."""
    check_processes()  # first: without the head's process the next call would not come back
    own = ray.get_runtime_context().get_node_id()
    if not any(node["NodeID"] == own and node["Alive"] for node in ray.nodes()):
        raise session.lost(["raylet"])
