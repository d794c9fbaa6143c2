"""Check that every host can use the store, before any trial starts."""

import secrets
from collections.abc import Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tracking import Store, StoreError
from tracking.files.place import StorePath, locate, remove_folder
from tracking.files.read import read_bytes
from tracking.files.write import write_bytes

_PATIENCE_S = 120.0


def check_every_host(store: Store) -> None:
    """Let every host read a file written here, and write one that is read here.

    A host that dies meanwhile is skipped: trials go on elsewhere, as whenever a host dies.

    Raises:
        StoreError: a host does not see this very store, or cannot write to it; all are named.
    """
    folder = store.root / "probes" / secrets.token_hex(8)
    try:
        write_bytes(folder / "driver", folder.name.encode())
        asked = {
            _name(node): (node["NodeID"], _ask(node["NodeID"], folder))
            for node in ray.nodes()
            if node["Alive"]
        }
        answers = [answer for _, answer in asked.values()]
        ray.wait(answers, num_returns=len(answers), timeout=_PATIENCE_S)
        failures = {name: _failure(*each, folder) for name, each in asked.items()}
    finally:
        remove_folder(folder)
    if any(failures.values()):
        raise StoreError(
            f"store {store.root} is not shared by all hosts: "
            + "; ".join(f"{name}: {why}" for name, why in failures.items() if why)
            + ". Give --store a folder that is mounted on every host at this path, or "
            "s3://BUCKET/PREFIX with its keys in every host's environment; see docs/cluster.md"
        )


@ray.remote
def _probe(folder: str, node: str) -> str:
    """Runs on a host: the reason why the store cannot be used there, or an empty string."""
    try:
        place = locate(folder)
        if read_bytes(place / "driver").decode() != place.name:
            return "it sees another store"
        write_bytes(place / node, place.name.encode())
    except FileNotFoundError:
        return "it has no such folder, or another one"
    except (OSError, StoreError) as error:
        return str(error)
    return ""


def _ask(node: str, folder: StorePath) -> ray.ObjectRef[str]:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return _probe.options(num_cpus=0, scheduling_strategy=there).remote(str(folder), node)


def _failure(node: str, answer: ray.ObjectRef[str], folder: StorePath) -> str:
    """The reason why a host cannot use the store, or an empty string."""
    try:
        why = str(ray.get(answer, timeout=1))
        if not why and not (folder / node).exists():
            why = "what it writes is not seen here"
        return why
    except ray.exceptions.GetTimeoutError:
        return f"no answer within {_PATIENCE_S:.0f} s"
    except ray.exceptions.RayError as error:
        return str(error).splitlines()[0] if _lives(node) else ""


def _lives(node: str) -> bool:
    return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
