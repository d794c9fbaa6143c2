"""Studies as processes of their own that share one import of all that a driver imports.

A server of ``multiprocessing`` has imported it and forks: seconds a study. Where the start of
Python itself matters (environment, signals while it imports, its end), run the command.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.studies.conftest import ROOT, TOY

# What a process of ours inherits from a shell's background, where Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

_ROOM = ("RAY_AIR", "RAY_CHDIR", "RAY_ENABLE", "RAY_USAGE", "TUNE_")
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["studies.cli", "studies.conduct", "tracking.mlflow.mirror", "tests.studies.toy"]
)


class Forked:
    """Like ``subprocess.Popen``, as far as tests need it; ``study`` is a name of the toy module."""

    def __init__(
        self,
        arguments: list[str],
        cwd: Path,
        out: Path,
        err: Path,
        env: Mapping[str, str] | None = None,
        study: str = "STUDY",
    ) -> None:
        self.args = arguments
        # Ray notes in the environment that it has set up its token; the server has not.
        own = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
        given = (arguments, str(cwd), own | (env or {}), str(out), str(err), study)
        self._process = _context.Process(target=_study, args=given)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _study(
    arguments: list[str], cwd: str, environment: dict[str, str], out: str, err: str, study: str
) -> None:
    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    os.chdir(cwd)
    # of the server's environment what the import of Ray's room has set, as in a user's process
    imported = {name: value for name, value in os.environ.items() if name.startswith(_ROOM)}
    os.environ.clear()
    os.environ.update(imported | environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from studies.cli import main
    from tests.studies import toy

    sys.exit(main(getattr(toy, study), arguments))


def start_toy(store: Path | str, *more: str, words: Path | None = None) -> Forked:
    """The toy study in one worker; its words go to files beside the store, or beside ``words``."""
    words = words or Path(store)
    arguments = [*TOY, "--concurrency", "1", "--store", str(store), *more]
    return Forked(arguments, ROOT, words.with_suffix(".out"), words.with_suffix(".err"))
