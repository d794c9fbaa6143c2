"""What a study on one machine listens on, and whom it lets in: seen while one ran."""

import ipaddress
import re
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.security.conftest import surroundings
from tests.studies.conftest import ROOT
from tests.tracking.mlflow_lab import free_port

pytestmark = pytest.mark.xdist_group("watched")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_everything_listens_on_loopback_alone(watched):
    assert watched.returncode == 0, watched.output
    programs = {name for name, _ in watched.listening}
    assert {"gcs_server", "raylet"} < programs  # they were seen
    assert any(name.startswith("ray::") for name in programs)  # workers too
    for program, address in watched.listening:
        found = ipaddress.ip_address(address.removeprefix("::ffff:"))
        assert found.is_loopback, (program, address)


@pytest.mark.parametrize("shown", ["none", "another", "the user's file"])
def test_ray_refuses_who_does_not_show_the_runs_own_token(watched, shown):
    assert "AuthenticationError" in watched.knocks[shown], watched.knocks[shown]
    assert "let in" not in watched.knocks[shown]


def test_ray_lets_in_who_shows_it(watched):
    assert "let in" in watched.knocks["its own"], (
        watched.knocks
    )  # so the refusals above are the token's


def test_the_token_is_on_no_command_line(watched):
    assert re.fullmatch("[0-9a-f]{64}", watched.token)
    assert len(watched.command_lines) > 4
    assert not [line for line in watched.command_lines if watched.token in line]


def test_other_users_cannot_enter_rays_folder_and_it_goes(watched):
    assert watched.mode == "drwx------"
    assert watched.folder.name == "ray-1"  # of the first attempt
    assert not watched.folder.parent.exists()


def test_a_ray_that_others_left_is_not_joined(watched):
    """Neither by the address in the environment nor by that in Ray's folder; nobody is there."""
    assert watched.returncode == 0, watched.output
    assert watched.left.exists()
    assert watched.folder.is_relative_to(watched.left.parents[1])  # that folder was its own, too


def test_make_ui_serves_on_loopback_alone(tmp_path):
    (tmp_path / "store.json").write_text("{}")
    port = free_port()
    shown = subprocess.run(
        ["make", "-n", "ui", f"STORE={tmp_path}", f"PORT={port}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.replace("\\\n", " ")  # fmt: skip
    command = next(line for line in shown.splitlines() if "mlflow server" in line)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"], cwd=ROOT, env=surroundings(), stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        found = listening(server, tmp_path / "log")
    finally:
        if server.poll() is None:
            for process in [*psutil.Process(server.pid).children(recursive=True), server]:
                process.kill()
        server.wait()
    assert found == {("127.0.0.1", port)}


def listening(server: subprocess.Popen, log: Path) -> set[tuple[str, int]]:
    """Of a process and its children, once there is some."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        first = psutil.Process(server.pid)
        processes = [first, *first.children(recursive=True)]
        sockets = [each for process in processes for each in process.net_connections("inet")]
        if found := {tuple(s.laddr) for s in sockets if s.status == psutil.CONN_LISTEN}:
            return found
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_every_command_of_the_documents_serves_on_loopback():
    commands = []
    for path in DOCUMENTS:
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        commands += re.findall(r"mlflow\s+(?:ui|server)\b [^\n]*--[^\n]*", text)
    assert len(commands) >= 2
    for command in commands:
        assert "--host 127.0.0.1" in command, command
