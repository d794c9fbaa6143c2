"""The URI of a database leads to that very file, whatever characters its path has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.mlflow.test_mirror import IDS, add_epoch, begin, finish
from tests.tracking.mlflow_lab import Server, runs_of
from tracking import StoreError, create_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import sqlite_uri, tracking_uri

NAMES = [
    "a b",
    "a?b",
    "a#b",
    "a%20b",
    "a%b",
    "é火",
    "a'b",
    'a"b',
    "a+b&c=d",
    "a@b:c",
    "a\\b",
    "a$b`c",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_mirror_is_in_the_store_and_nothing_is_beside_it(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = create_store(name)
    add_epoch(begin(store, IDS[0]), 1)
    finish(store.trial(IDS[0]))
    store.plan("table3", IDS[:1])
    uri = tracking_uri(store)
    MlflowMirror(store, "table3", uri).finish()
    run_id = runs_of(uri, "table3")[IDS[0]].info.run_id
    kept = tmp_path / name / "mlflow-artifacts" / "table3" / run_id / "artifacts"
    assert {path.name for path in kept.iterdir()} == {"config.json", "pollution.json", "scores.png"}
    assert (tmp_path / name / "mlflow.db").is_file()
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


def test_a_server_opens_the_database_of_that_store(tmp_path):
    store = create_store(tmp_path / "a b?c%20d#é")
    add_epoch(begin(store, IDS[0]), 1)
    store.plan("table3", IDS[:1])
    uri = tracking_uri(store)
    MlflowMirror(store, "table3", uri).sync()
    server = Server(tmp_path, database=uri)
    try:
        server.start()
        assert runs_of(server.uri, "table3").keys() == {"table3", IDS[0]}
    finally:
        server.kill()
    assert {path.name for path in tmp_path.iterdir()} == {store.root.name, "server.log"}


def test_two_stores_of_similar_names_share_no_database():
    names = ["a", "a?b", "a?c", "a%20b", "a b", "a#b", "a#c"]
    assert len({sqlite_uri(Path(name, "mlflow.db")) for name in names}) == len(names)


def test_a_plain_path_stays_readable():
    assert sqlite_uri(Path("/home/me/store_1-2.x/mlflow.db")) == (
        "sqlite:////home/me/store_1-2.x/mlflow.db"
    )


def test_a_path_that_no_uri_holds_is_refused():
    with pytest.raises(StoreError, match="is not UTF-8, and MLflow has no name for it"):
        sqlite_uri(Path(os.fsdecode(b"/\xff"), "mlflow.db"))


@pytest.mark.parametrize("name", ["a b?#%20é'c"])
def test_make_ui_hands_the_same_uri_to_mlflow(tmp_path, name):
    """The real Makefile; only the server is a script that prints what it is given."""
    store = create_store(tmp_path / name)
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    says = {"python": f'exec {sys.executable} "$@"', "mlflow": 'printf "%s\\n" "$@"'}
    for program, does in says.items():
        (programs / program).write_text(f"#!/bin/sh\n{does}\n")
        (programs / program).chmod(0o755)
    (tmp_path / "venv" / ".installed").touch()
    root = Path(__file__).parents[3]
    command = ["make", "-s", "ui", f"STORE={store.root}", f"VENV={tmp_path / 'venv'}"]
    shown = subprocess.run(
        command,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert tracking_uri(store) in shown.stdout.splitlines()
