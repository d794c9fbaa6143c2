"""The folder of Ray's files: private, short enough for its sockets, and gone in the end."""

import os
import tempfile
from pathlib import Path

import pytest

from nsa_core import InputError
from studies.cluster.folder import private_folder


@pytest.fixture
def place(monkeypatch):
    """Sets the environment; Python chooses its folder for temporary files anew."""

    def put(**environment):
        monkeypatch.setattr(tempfile, "tempdir", None)
        for name in ("RAY_TMPDIR", "TMPDIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))

    return put


@pytest.fixture
def long(tmp_path):
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    return folder


def test_it_is_closed_to_others_and_gone_afterwards(place):
    place()
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "ray-1").mkdir()
        (folder / "ray-1" / "log").write_text("words")
    assert not folder.exists()


def test_a_socket_has_room_in_it_though_tmpdir_is_long(place, long):
    place(TMPDIR=long)
    with private_folder() as folder:
        socket = f"ray-1/session_2026-11-27_13-07-48_123456_{2**22}/sockets/plasma_store"
        assert len(os.fsencode(folder / socket)) <= 107
    assert [*long.iterdir()] == []


def test_a_short_folder_is_used_as_it_is_asked_for(place):
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as short:
        for name in ("TMPDIR", "RAY_TMPDIR"):
            place(**{name: short})
            with private_folder() as folder:
                assert folder.parent == Path(short)


@pytest.mark.parametrize("kind", ["long", "absent", "a file"])
def test_a_folder_of_ones_own_that_does_not_do_is_named(place, long, tmp_path, kind):
    short = Path(tempfile.mkstemp(prefix="n", dir="/tmp")[1])
    asked = {"long": long, "absent": Path("/none"), "a file": short}[kind]
    place(RAY_TMPDIR=asked)
    with (
        pytest.raises(InputError, match=f"{asked}; set RAY_TMPDIR to a folder that can be"),
        private_folder(),
    ):
        pass
    short.unlink()
