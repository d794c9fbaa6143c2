"""What the four commands share: how they end, what they say where, how long they still take."""

import argparse
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nsa_core.errors import DivergedError, InputError
from studies.cluster.signals import stop_on_sigterm
from tracking.errors import StoreError
from tracking.text import clock, print_anything, printable

Said = tuple[dict[str, Any], list[str]]
"""What a command found: plain values for ``--json``, and lines for a person."""

_EVERY_S = 10.0  # a line of progress, where it cannot be written over
_WARNED = r"(nsa_core\.detector|studies\.detect)\."  # where what the core warns of is found


def run(work: Callable[[argparse.Namespace], Said], options: argparse.Namespace) -> int:
    """Do a command's work, and print what it found; returns the exit status.

    0: done; 1: the training diverged; 2: bad input; 130: interrupted. Notes and progress go to
    standard error, so that standard output is the result alone.
    """
    print_anything()
    stop_on_sigterm()
    try:
        with _notes() as notes:
            values, lines = work(options)
        print(json.dumps(values | {"notes": notes}) if options.json else "\n".join(lines))
    except (InputError, StoreError, OSError) as error:
        return _failed(error, 2)
    except DivergedError as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


def command_parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """A command's parser, with the option that all have."""
    made = argparse.ArgumentParser(prog=f"nsa {name}", description=(about or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def add_reading(made: argparse.ArgumentParser) -> None:
    """The option of commands that read images."""
    made.add_argument(
        "--skip-broken", action="store_true", help="leave broken files out, and name them"
    )


def checked_out(name: str, ending: str, source: str = "") -> Path:
    """The path of a file to be written, so that a wrong one is known before the work.

    Raises:
        InputError: another ending, no such folder, a folder of that name, or a file that is there
            among the images of the source.
    """
    path = Path(name)
    if source and path.exists() and path.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"output {name!r} is a file of the images; give another name")
    if path.suffix != ending:
        raise InputError(f"output is {name!r}; need a name that ends in {ending}")
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"folder {str(path.parent)!r} does not exist"
        raise InputError(f"output {name!r} cannot be written: {why}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"output {name!r} cannot be written: {str(path.parent)!r} is read-only")
    return path


def skipped_lines(skipped: list[tuple[str, str]]) -> list[str]:
    """Broken images by name, the first few of them."""
    shown = [f"  left out: {printable(name)}: {printable(why)}" for name, why in skipped[:5]]
    more = len(skipped) - len(shown)
    return shown + [f"  and {more} more"] * (more > 0)


class Progress:
    """How far a piece of work is, and how long it still takes, on standard error."""

    def __init__(self, what: str) -> None:
        self._what, self._started, self._said = what, time.monotonic(), 0.0
        self._over = sys.stderr.isatty()

    def __call__(self, share: float) -> None:
        """Say that this share, in [0, 1], is done, if it is time to."""
        now = time.monotonic()
        if now - self._said < (0.2 if self._over else _EVERY_S) and share < 1:
            return
        self._said, spent = now, now - self._started
        left = clock(spent * (1 - share) / share) if share else "?"
        state = f"{share:4.0%}, {left} left" if share < 1 else f"done in {clock(spent)}"
        line = f"{self._what}: {state}"
        start, end = ("\r\x1b[K", "\n" if share >= 1 else "") if self._over else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Say every few seconds that the work goes on, until a share of it is told."""
        ended = threading.Event()

        def say() -> None:
            while not ended.wait(_EVERY_S) and not self._said:
                spent = clock(time.monotonic() - self._started)
                print(f"{self._what}: {spent} so far", file=sys.stderr, flush=True)

        thread = threading.Thread(target=say)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def _notes() -> Iterator[list[str]]:
    """Warnings of the core as notes, said at once; those of libraries are left out."""
    notes: list[str] = []

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        notes.append(str(message))
        print(f"note: {printable(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=_WARNED)
        warnings.showwarning = note
        yield notes


def _failed(error: Exception, status: int) -> int:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    return status
