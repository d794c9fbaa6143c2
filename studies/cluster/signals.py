"""Signals that end a study; imports no Ray, so it serves from the first moment on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def stop_on_sigterm() -> None:
    """Make SIGTERM do what Ctrl-C does: raise a KeyboardInterrupt, once.

    Who stops a whole group of processes sends it several times, and what a study does as it ends
    must not be cut short.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell's background ignores
                signal.signal(number, _stop)


def ignore_signals() -> None:
    """Ignore SIGINT and SIGTERM while the interpreter exits: the study is over."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def install_again() -> None:
    """Install the handlers of Python again, where a library in C has put its own."""
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            signal.signal(number, signal.getsignal(number) or signal.SIG_DFL)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let SIGINT and SIGTERM take effect only after what must not be cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: told.append(number))
        for number in _STOPPING
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for again in told:
            signal.raise_signal(again)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_signals()
    raise KeyboardInterrupt
