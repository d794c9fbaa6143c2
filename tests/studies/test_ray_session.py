"""Ray is left as a whole, whatever other threads do meanwhile."""

import subprocess
import sys

from tests.studies.conftest import ROOT

LEAVE_WHILE_A_THREAD_FREES_OBJECTS = """
import gc, threading, tempfile, time
from studies import ray_session
import ray

def litter():  # objects of Ray that only the garbage collector can free, in this thread
    while held:
        cycle = [held.pop()]
        cycle.append(cycle)
        time.sleep(0.0005)

ray_session.start(tempfile.mkdtemp() + "/ray")
gc.set_threshold(2)
held = [ray.put(number) for number in range(20_000)]
threading.Thread(target=litter, daemon=True).start()
time.sleep(0.5)
ray_session.leave()
assert held, "the thread was through before Ray was left"
print("left")
"""

SIGTERM_MEETS_RAYS_OWN_HANDLER = """
import os, signal, tempfile, time
import ray
from studies import ray_session

start = ray.init

def init_and_signal(**how):
    start(**how)
    os.kill(os.getpid(), signal.SIGTERM)

ray.init = init_and_signal
ray_session.stop_on_sigterm()
try:
    ray_session.start(tempfile.mkdtemp() + "/ray")
except KeyboardInterrupt:
    print("stopped")
finally:
    ray_session.leave()
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


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
