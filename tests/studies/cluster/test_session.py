"""Ray is left as a whole, whatever other threads do meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

from tests.studies.conftest import ROOT

LEAVE_WHILE_A_THREAD_FREES_OBJECTS = """
import gc, threading, tempfile, time
from studies.cluster import session
import ray

def litter():  # objects of Ray that only the garbage collector can free, in this thread
    while held:
        cycle = [held.pop()]
        cycle.append(cycle)
        time.sleep(0.0005)

session.start(tempfile.mkdtemp() + "/ray")
gc.set_threshold(2)
held = [ray.put(number) for number in range(20_000)]
threading.Thread(target=litter, daemon=True).start()
time.sleep(0.5)
session.leave()
assert held, "the thread was through before Ray was left"
print("left")
"""

SIGTERM_MEETS_RAYS_OWN_HANDLER = """
import os, signal, tempfile, time
from studies.cluster import session
from studies.cluster.signals import stop_on_sigterm
import ray

start = ray.init

def init_and_signal(**how):
    start(**how)
    os.kill(os.getpid(), signal.SIGTERM)

ray.init = init_and_signal
stop_on_sigterm()
try:
    session.start(tempfile.mkdtemp() + "/ray")
except KeyboardInterrupt:
    print("stopped")
finally:
    session.leave()
time.sleep(4)
print("left")
"""


def test_objects_that_another_thread_frees_do_not_end_the_process():
    done = run(LEAVE_WHILE_A_THREAD_FREES_OBJECTS)
    assert done.stdout == "left\n", done.stderr
    assert done.returncode == 0, done.stderr


def test_a_sigterm_that_meets_rays_own_handler_does_not_abort_the_process_seconds_later():
    done = run(SIGTERM_MEETS_RAYS_OWN_HANDLER)
    assert done.stdout == "stopped\nleft\n", done.stderr
    assert done.returncode == 0, done.stderr


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env=own | environment,
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


A_START_THAT_FAILS = """
import sys, tempfile
from studies.cluster import RayLostError, session
import ray

start, failures = ray.init, int(sys.argv[1])

def fail_first(**how):
    global failures
    if failures:
        failures -= 1
        raise Exception("Failed to start GCS. Last 0 lines\\nof a page of traceback")
    return start(**how)

ray.init = fail_first
session.random.uniform = lambda low, high: 0
try:
    session.start(tempfile.mkdtemp() + "/ray")
    print("started", ray.is_initialized())
except RayLostError as error:
    print(error, ray.is_initialized())
finally:
    session.leave()
"""


def test_a_start_that_fails_is_tried_again():
    done = run(A_START_THAT_FAILS, "2")
    assert done.stdout == "started True\n", done.stderr


def test_a_start_that_always_fails_is_one_line():
    done = run(A_START_THAT_FAILS, "3")
    assert done.stdout == (
        "Ray did not start on this machine in 3 attempts (Failed to start GCS. Last 0 lines); "
        "the same command tries again False\n"
    ), done.stderr


OTHER_RAYS_BEFORE_AND_AFTER = """
import os, tempfile
from nsa_core import InputError
from studies.cluster import session
import ray

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
ray.shutdown()
for _ in range(2):
    session.start(tempfile.mkdtemp() + "/ray")
    session.leave()
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
ray.shutdown()
try:
    session.join("127.0.0.1:1")  # nobody is there
except InputError:
    print("all started", "RAY_AUTH_TOKEN" in os.environ)
"""


def test_it_starts_between_rays_that_have_other_tokens(tmp_path):
    done = run(OTHER_RAYS_BEFORE_AND_AFTER, HOME=str(tmp_path))
    assert done.stdout == "all started False\n", done.stderr
    assert done.returncode == 0, done.stderr


A_CALL_THAT_DOES_NOT_COME_BACK = """
import os, tempfile
from pathlib import Path
from types import SimpleNamespace
from time import monotonic, sleep
from studies.cluster import session
import ray

# A machine so busy that a look takes 3 s; Ray itself gives up after 20, and says less.
session.time = SimpleNamespace(sleep=lambda seconds: sleep(3 * seconds), monotonic=monotonic)
os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"] = "20"
session._STUCK_S = 8
session.start(tempfile.mkdtemp() + "/ray")
processes = ray._private.worker._global_node.all_processes
print(Path(ray._private.worker._global_node.get_session_dir_path()).parents[1], flush=True)
processes["gcs_server"][0].process.kill()
ray.nodes()
"""


def test_a_driver_that_waits_for_a_ray_that_died_is_ended():
    done = run(A_CALL_THAT_DOES_NOT_COME_BACK)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: Ray's process on this machine (gcs_server"), done.stderr
    assert not Path(done.stdout.strip()).exists()
