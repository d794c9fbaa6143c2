"""The Ray session of a study: start or join, and leave."""

import gc
import logging
import math
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

from nsa_core import InputError
from nsa_core.errors import first_line
from nsa_core.limits import usable_cores
from studies.cluster import RayLostError
from studies.cluster.signals import install_again

# A study goes on from its store, not from Tune's notes: no traceback where they have no room.
logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)

_OBJECT_BYTES = 100_000_000
"""Room for Ray's shared objects: what a driver and its workers say to each other is small, and Ray
would take 30 % of the memory, of the host in some containers.
"""

_STARTS = 3
_STUCK_S = 40

_TOKEN = "RAY_AUTH_TOKEN"
_own: set[str] = set()
"""Tokens of Rays that were started here; a cluster that is joined has another."""

# Ray is started and left here, where no signal comes: cut short, either takes the process with it.
# One thread, so that leaving waits for starting; it stays, as Ray's processes die with it.
_thread = ThreadPoolExecutor(1, thread_name_prefix="ray")


def start(folder: str) -> None:
    """Start Ray on this machine, for this run alone; docs/security.md says what that keeps out.

    ``folder`` is in one that is closed to others: Ray opens its own to everybody.

    Raises:
        RayLostError: it does not start.
    """
    # Of a worker that needed over a minute to start, on a machine that is busy, Ray would hear no
    # more, and wait for it for ever.
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "1800")
    # Ray would start a process for each core before any has something to do.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    how = {
        "address": "local",
        "num_cpus": usable_cores(),
        "object_store_memory": _OBJECT_BYTES,
        "include_dashboard": False,
    }
    for attempt in range(1, _STARTS + 1):
        if _TOKEN not in os.environ:  # and not in the file that all share
            os.environ[_TOKEN] = secrets.token_hex(32)
            _own.add(os.environ[_TOKEN])
        try:
            _init(**how, _temp_dir=f"{folder}-{attempt}")
            threading.Thread(target=_end_if_stuck, args=[folder], daemon=True).start()
            return
        except Exception as error:  # of no class, where it times out
            leave()
            reason = first_line(error)
            if attempt == _STARTS:
                raise RayLostError(
                    f"Ray did not start on this machine in {_STARTS} attempts ({reason}); the same "
                    "command tries again"
                ) from error
            # Two that start at one moment may choose the same port.
            time.sleep(random.uniform(1, 5))


def join(address: str) -> None:
    """Join a cluster.

    Raises:
        InputError: there is none at this address, a ``HOST:PORT`` or "auto".
    """
    if os.environ.get(_TOKEN) in _own:
        del os.environ[_TOKEN]
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=5).close()
        _init(address=address)
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"no Ray cluster at {address!r} ({reason})") from error


def leave() -> None:
    """Leave Ray; stop it if it was started here."""
    signal.alarm(0)  # Ray's handler of SIGTERM sets one, to abort the process after 3 s
    _finish(_thread.submit(_leave))


def dead_processes() -> list[str]:
    """Which of the processes that a Ray started here cannot do without have died."""
    node = ray._private.worker._global_node
    dead: list[Any] = node.dead_processes() if node else []
    return sorted({kind for kind, _ in dead} & {"gcs_server", "raylet"})


def lost(dead: Sequence[str]) -> RayLostError:
    """The error for such processes."""
    return RayLostError(
        f"Ray's process on this machine ({', '.join(dead)}) has died; the same command goes on "
        "where the study stopped"
    )


def _end_if_stuck(folder: str) -> None:
    """End the driver if it does not leave a Ray whose processes died: a call that was under way
    then does not come back. Ray would end it after a minute, and leave its folder and its workers.
    """
    node: Any = ray._private.worker._global_node
    died = math.inf
    while time.monotonic() - died < _STUCK_S:
        time.sleep(1)
        if node is not ray._private.worker._global_node:
            return
        died = min(died, time.monotonic()) if dead_processes() else math.inf
    print(f"error: {lost(dead_processes())}", file=sys.stderr, flush=True)
    node.kill_all_processes(check_alive=False)
    shutil.rmtree(Path(folder).parent, ignore_errors=True)
    os._exit(2)


def _init(**how: Any) -> None:
    # Tune would hand keys to its workers by a way that Ray logs; workers have their own host's.
    keys = {name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    ENV_VARS_TO_PROPAGATE.difference_update(keys)
    # Ray would go on with the token of the Ray that this process had before, be it ours or not.
    AuthenticationTokenLoader.instance().reset_cache()
    _finish(_thread.submit(ray.init, logging_level=logging.ERROR, log_to_driver=False, **how))


def _finish(task: Future[Any]) -> None:
    """Wait for what Ray does, and open to signals: Ray's own handlers abort the process."""
    while not task.done():
        wait([task], timeout=0.1)
        install_again()
    task.result()


def _leave() -> None:
    gc.collect()
    gc.disable()  # what another thread frees of Ray while Ray ends would end this process
    orphans = _orphans()
    try:
        ray.shutdown()
    finally:
        gc.enable()
        for process in orphans:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            os.close(process)


def _orphans() -> list[int]:
    """Of a Ray whose processes died, handles of what they have started: that may wait for them."""
    node: Any = ray._private.worker._global_node
    if not dead_processes():
        return []
    started = [each.process.pid for kind in node.all_processes.values() for each in kind]
    handles = []
    for pid in set().union(*map(_below, started)):
        with suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    return handles


def _below(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    found: set[int] = set()
    with suppress(OSError):  # it ends
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            children = {int(word) for word in file.read_text().split()}
            found = found.union(children, *map(_below, children))
    return found
