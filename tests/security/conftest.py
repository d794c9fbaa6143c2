"""One real study on this machine, with secrets around it, that is watched while it runs."""

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.studies.conftest import ROOT, study_command, undisturbed  # noqa: F401  # a fixture
from tests.tracking.mlflow_lab import Server, free_port

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "sentinel-aws-5b1f",
    "AWS_SESSION_TOKEN": "sentinel-session-77aa",
    "MLFLOW_TRACKING_TOKEN": "sentinel-bearer-30dd",
    "MLFLOW_TRACKING_PASSWORD": "sentinel-password-c4e0",
    "OTHER_API_KEY": "sentinel-other-91b2",
}
URI_PASSWORD = "sentinel-uri-e2d7"
KNOCK = """
import sys, ray._raylet as raylet
client = raylet.GcsClient(address=sys.argv[1])
print("let in:", client.internal_kv_keys(b"", None, timeout=30))
"""
TOKENS = {  # what a stranger shows; "its own" is filled in while the study runs
    "none": {"RAY_AUTH_MODE": "disabled"},
    "another": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
    "the user's file": {"RAY_AUTH_MODE": "token"},
    "its own": {"RAY_AUTH_MODE": "token"},
}


@dataclass
class Watched:
    """What was seen of a study.

    Attributes:
        listening: program and address of every socket that a process of it listened on.
        knocks: what Ray's head answered, by what was shown to it.
        token: of its Ray, as only its own processes know it.
        command_lines: of its processes.
        folder: Ray's, of this run.
        mode: of the folder that ``folder`` is in, as in "drwx------".
        seen_files: of Ray's notes and logs, that held one of the secrets while it ran.
    """

    store: Path
    mlflow: Path
    left: Path  # Ray's folder of others, by which they would be joined
    listening: set[tuple[str, str]] = field(default_factory=set)
    knocks: dict[str, str] = field(default_factory=dict)
    token: str = ""
    command_lines: set[str] = field(default_factory=set)
    folder: Path = Path()
    mode: str = ""
    seen_files: set[str] = field(default_factory=set)
    output: str = ""
    returncode: int = -1

    @property
    def secrets(self) -> list[str]:
        return [*SECRETS.values(), URI_PASSWORD, self.token]


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    place = tmp_path_factory.mktemp("watched")
    server = Server(place)
    server.start()
    short = tempfile.TemporaryDirectory()  # the names of sockets must be
    found = Watched(place / "store", place, Path(short.name) / "ray" / "ray_current_cluster")
    found.left.parent.mkdir()
    found.left.write_text(f"127.0.0.1:{free_port()}")
    of_others = {"RAY_TMPDIR": short.name, "RAY_ADDRESS": f"127.0.0.1:{free_port()}"}
    uri = server.uri.replace("://", f"://mlflow:{URI_PASSWORD}@")
    study = subprocess.Popen(
        study_command(found.store, "--tracking-uri", uri, page="tests/studies/toy.py"), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=surroundings() | SECRETS | of_others | {"RAY_worker_niceness": "0"},
    )  # fmt: skip
    try:
        watch(study, found)
        found.output, _ = study.communicate(timeout=300)
        found.returncode = study.returncode
    finally:
        study.kill()
        server.kill()
    yield found
    short.cleanup()


def watch(study: subprocess.Popen, found: Watched) -> None:
    """Until it ends; its output is short enough for the pipe."""
    deadline = time.monotonic() + 900
    while study.poll() is None:
        assert time.monotonic() < deadline, "the study did not end in 900 s"
        processes = descendants(study.pid)
        for process in processes:
            look_at(process, found)
        if not found.knocks and any(name.startswith("ray::Trial") for name in names(processes)):
            with contextlib.suppress(psutil.Error):  # it ends just now
                knock(found, raylet_of(processes))
        time.sleep(0.2)


def look_at(process: psutil.Process, found: Watched) -> None:
    try:
        found.command_lines.add(" ".join(process.cmdline()))
        for socket in process.net_connections("inet"):
            if socket.status == psutil.CONN_LISTEN:
                found.listening.add((process.name(), socket.laddr.ip))
    except psutil.Error:  # it has ended
        return


def knock(found: Watched, raylet: psutil.Process) -> None:
    """Learn what only the user can, and try the doors with and without it."""
    words = dict(word.lstrip("-").partition("=")[::2] for word in raylet.cmdline())
    found.token = raylet.environ()["RAY_AUTH_TOKEN"]
    found.folder = Path(words["temp_dir"])
    found.mode = stat.filemode(found.folder.parent.stat().st_mode)
    gcs = words["gcs-address"]
    home = found.store.parent / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("1" * 64)
    for shown, environment in TOKENS.items():
        own = {"RAY_AUTH_TOKEN": found.token} if shown == "its own" else {}
        done = subprocess.run(
            [sys.executable, "-c", KNOCK, gcs],
            env=surroundings() | {"HOME": str(home)} | environment | own,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        found.knocks[shown] = done.stdout + done.stderr
    for folder in (found.folder, found.store / "ray"):
        found.seen_files |= {str(path) for path in files_with(folder, found.secrets)}


def raylet_of(processes: list[psutil.Process]) -> psutil.Process:
    """The eldest: a child that it is just about to start has its name as well."""
    raylets = [process for process in processes if process.name() == "raylet"]
    return min(raylets, key=psutil.Process.create_time)


def surroundings() -> dict[str, str]:
    """This process's environment, without what it may say of Ray."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def files_with(folder: Path, secrets: list[str]) -> list[Path]:
    """Files below a folder with one of the secrets in their bytes."""
    assert all(secrets)
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # a running study renames and removes
                data = path.read_bytes()
                found += [path] if any(secret.encode() in data for secret in secrets) else []
    return found


def descendants(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def names(processes: list[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        try:
            found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
