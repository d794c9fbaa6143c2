"""Secrets around a study are in nothing that it writes or says: the same study, every byte."""

import gzip
import logging
import re
import sqlite3
import zipfile

import pyarrow.parquet as pq
import pytest

from studies import mlflow_model
from tests.security.conftest import SECRETS, URI_PASSWORD, files_with
from tests.tracking.mlflow_lab import free_port
from tracking import create_store, mlflow_sync
from tracking.mlflow.thread import MlflowThread
from tracking.text import without_passwords

pytestmark = pytest.mark.xdist_group("watched")


def test_no_secret_in_what_a_study_writes(watched):
    assert watched.returncode == 0, watched.output
    assert len(list(watched.store.rglob("*.parquet"))) > 16
    assert files_with(watched.store, watched.secrets) == []
    packed = "".join(unpacked(watched.store))
    assert "k-cos" in packed  # the values were read
    assert not [secret for secret in watched.secrets if secret in packed]


def unpacked(store):
    """What files hold that compress: tables, their metadata, checkpoints."""
    for path in store.rglob("*.parquet"):
        if path.is_file():
            yield str(pq.read_table(path).to_pydict()) + str(pq.read_schema(path).metadata)
    for path in store.rglob("*.pt"):
        with zipfile.ZipFile(path) as archive:
            yield "".join(archive.read(name).decode("latin-1") for name in archive.namelist())
    for path in store.rglob("*.gz"):
        yield gzip.decompress(path.read_bytes()).decode("latin-1")


def test_no_secret_in_what_it_says(watched):
    assert "MLflow   http://***@127.0.0.1:" in watched.output  # it did speak of the address
    assert not [secret for secret in watched.secrets if secret in watched.output]


def test_no_secret_in_mlflow(watched):
    assert files_with(watched.mlflow, watched.secrets) == []  # database, artifacts, log
    with sqlite3.connect(watched.mlflow / "server.db") as database:
        text = "\n".join(database.iterdump())
    assert text.count("nsa.trial_id") >= 4  # it is the study's
    assert not [secret for secret in watched.secrets if secret in text]


def test_no_secret_in_rays_logs_and_notes_while_it_ran(watched):
    assert watched.token
    assert watched.seen_files == set()


def test_the_search_would_tell(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log").write_bytes(b"\x00" + URI_PASSWORD.encode() + b"\x00")
    assert files_with(tmp_path, [*SECRETS.values(), URI_PASSWORD]) == [tmp_path / "a" / "log"]


@pytest.mark.parametrize("password", [URI_PASSWORD, f"p@{URI_PASSWORD}", f"a/b{URI_PASSWORD}?#"])
def test_an_mlflow_that_fails_is_named_without_its_password(tmp_path, capfd, caplog, password):
    store = create_store(tmp_path / "store")
    store.plan("some", [])
    uri = f"http://user:{password}@127.0.0.1:{free_port()}"
    with caplog.at_level(logging.INFO):
        thread = MlflowThread(store, "some", uri)
        thread.start()
        assert not thread.close(timeout_s=20)
    statuses = [
        mlflow_sync.main([str(store.root), "--tracking-uri", uri]),
        mlflow_model.main([str(store.root), "--tracking-uri", uri, "--study", "some"]),
    ]
    said = "".join([*capfd.readouterr(), caplog.text, thread.failure])
    assert "***@" in said or "not up to date" in said
    assert URI_PASSWORD not in said
    assert statuses == [1, 2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:5000/x", "http://***@host:5000/x"),
        ("at postgresql://u:p@ss:w/rd@host/db (no)", "at postgresql://***@host/db (no)"),
        ("s3://KEY:SECRET@bucket/store", "s3://***@bucket/store"),
        ("http://token@host", "http://***@host"),
        ("http://:secret@host", "http://***@host"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("mail me@home about http://host/a", "mail me@home about http://host/a"),
    ],
)
def test_a_password_in_an_address_is_not_shown(text, shown):
    assert without_passwords(text) == shown
    assert not re.search("secret|SECRET|p@ss", shown)
