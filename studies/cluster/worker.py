"""What every process of Ray's that trains does first."""

import gc
import os
import signal
import threading
import time


def begin_worker() -> None:
    """Have this process end when it should, and collect garbage fast."""
    gc.collect()
    gc.freeze()  # what was imported stays: collecting between trials need not look at it
    # Ray's handler wants memory: where there is none it aborts again, in itself, without end.
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()


def _end_with(raylet: int) -> None:
    """Kill this process once its raylet has died. Ray does not, and the orphan would keep the lock
    of a trial that resumes elsewhere.
    """
    while os.getppid() == raylet:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
