"""The Ray of a study: started on this machine or joined at an address, and left."""

import gc
import logging
import os
import secrets
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import ray
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

from nsa_core import InputError

# Tune hands these to its workers by a way that Ray logs; workers have their own host's.
ENV_VARS_TO_PROPAGATE -= {name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}

# A study goes on from its store, not from Tune's notes: no traceback where they have no room.
logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)

# Ray is started and left here, where no signal comes: cut short, either takes the process with it.
# One thread, so that leaving waits for starting; it stays, as Ray's processes die with it.
_thread = ThreadPoolExecutor(1, thread_name_prefix="ray")


def start(folder: str) -> None:
    """Start Ray on this machine, for this run alone; docs/security.md says what that keeps out.

    ``folder`` is in one that is closed to others: Ray opens its own to everybody.
    """
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # not the file that all share
    cpus = len(os.sched_getaffinity(0))
    _init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder)


def join(address: str) -> None:
    """Join a cluster.

    Raises:
        InputError: there is none at this address, a ``HOST:PORT`` or "auto".
    """
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=5).close()
        _init(address=address)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no Ray cluster at {address!r} ({reason})") from error


def leave() -> None:
    """Leave Ray, and end it if it was started here."""
    signal.alarm(0)  # Ray's handler of SIGTERM sets one, to abort the process after 3 s
    _thread.submit(_leave).result()


def stop_on_sigterm() -> None:
    """Have SIGTERM do what Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def hear_no_signal() -> None:
    """For the process's last moments, which a signal would only make look like a failure."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _init(**how: Any) -> None:
    begun = _thread.submit(ray.init, logging_level=logging.ERROR, log_to_driver=False, **how)
    while not begun.done():
        wait([begun], timeout=0.1)
        stop_on_sigterm()  # again: Ray puts its own handler before it, which prints the stack
    begun.result()


def _leave() -> None:
    gc.collect()
    gc.disable()  # what another thread frees of Ray while Ray ends would end this process
    try:
        ray.shutdown()
    finally:
        gc.enable()
