"""A database of MLflow that was moved, copied, locked, damaged or led elsewhere."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.tracking.mlflow.test_mirror import IDS, THIRD, add_epoch, begin, finish
from tests.tracking.mlflow_lab import runs_of, values_in_mlflow, values_in_store
from tracking import create_store, mlflow_sync, open_store
from tracking.mlflow.place import tracking_uri

FILES = {"config.json", "pollution.json", "scores.png"}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """A store of two studies, one trial finished and one running, in its mirror."""
    made = create_store(tmp_path_factory.mktemp("mirrored") / "store")
    for trial_id in IDS:
        add_epoch(begin(made, trial_id), 1)
    finish(made.trial(IDS[0]))
    made.plan("one", IDS[:1])
    made.plan("table3", IDS)
    assert mlflow_sync.main([str(made.root)]) == 0
    return made


@pytest.fixture
def store(mirrored, tmp_path):
    """A copy that this process has not opened in MLflow, which remembers what it has opened."""
    shutil.copytree(mirrored.root, tmp_path / "first")
    return open_store(tmp_path / "first")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def artifacts(store, study: str, trial_id: str) -> set[str]:
    """What MLflow itself lists of a run, whose place is in the store."""
    uri = tracking_uri(store)
    run = runs_of(uri, study)[trial_id].info
    assert run.artifact_uri.startswith(f"{store.root.as_uri()}/")
    return {item.path for item in MlflowClient(uri).list_artifacts(run.run_id)}


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_a_store_in_a_new_place_is_mirrored_there_alone(store, tmp_path, way, capsys, caplog):
    before, root = store.root, tmp_path / "far away" / "second"
    root.parent.mkdir()
    assert mlflow_sync.main([str(before)]) == 0
    capsys.readouterr()
    caplog.clear()
    if way == "moved":
        before.rename(root)
    else:
        shutil.copytree(before, root)
        kept = contents(before)
    moved = open_store(root)
    record = moved.trial(IDS[1])
    add_epoch(record, 2)
    finish(record)
    begin(moved, THIRD)
    moved.plan("table3", [THIRD])
    assert mlflow_sync.main([str(root)]) == 0
    assert "table3: 3 trials, 2 brought up to date" in capsys.readouterr().out
    (said,) = (r.getMessage() for r in caplog.records if "artifacts were" in r.getMessage())
    assert before.as_uri() in said
    assert root.as_uri() in said
    for study, trial_id in (("one", IDS[0]), ("table3", IDS[0]), ("table3", IDS[1])):
        assert artifacts(moved, study, trial_id) == FILES
    assert values_in_mlflow(tracking_uri(moved), "table3") == values_in_store(moved)
    if way == "moved":
        assert not before.exists()
    else:
        assert contents(before) == kept
        assert mlflow_sync.main([str(before)]) == 0
        assert artifacts(store, "table3", IDS[0]) == FILES
    caplog.clear()
    assert mlflow_sync.main([str(root)]) == 0
    assert not caplog.records


def test_artifacts_of_a_database_elsewhere_lie_beside_it(store, tmp_path):
    uri = f"sqlite:///{tmp_path}/elsewhere/one.db"
    assert mlflow_sync.main([str(store.root), "--study", "one", "--tracking-uri", uri]) == 0
    run_id = runs_of(uri, "one")[IDS[0]].info.run_id
    folder = tmp_path / "elsewhere" / "mlflow-artifacts" / "one" / run_id / "artifacts"
    assert {path.name for path in folder.iterdir()} == FILES


def failed(store, capsys) -> str:
    """The one line that a sync ends with."""
    capsys.readouterr()
    assert mlflow_sync.main([str(store.root)]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: MLflow at sqlite:///")
    return line


def test_a_locked_database_is_one_line(store, capsys, monkeypatch):
    monkeypatch.setattr("tracking.mlflow.experiment._PATIENCE_S", 0.1)
    with contextlib.closing(sqlite3.connect(store.root / "mlflow.db")) as other:
        other.execute("begin exclusive")
        assert "mlflow.db: database is locked; the same command goes on" in failed(store, capsys)
    assert mlflow_sync.main([str(store.root)]) == 0


@pytest.mark.parametrize(
    "content", [b"no database" * 100, b"SQLite format 3\0" + b"\1" * 84], ids=["text", "header"]
)
def test_a_damaged_database_is_one_line(store, capsys, content):
    (store.root / "mlflow.db").write_bytes(content)
    line = failed(store, capsys)
    assert "file is not a database; move it away, and it is made anew" in line
    assert (store.root / "mlflow.db").read_bytes() == content
    (store.root / "mlflow.db").unlink()
    assert mlflow_sync.main([str(store.root)]) == 0
    assert artifacts(store, "table3", IDS[0]) == FILES


def test_an_empty_database_is_made_anew(store):
    (store.root / "mlflow.db").write_bytes(b"")
    assert mlflow_sync.main([str(store.root)]) == 0
    assert artifacts(store, "table3", IDS[0]) == FILES


@pytest.mark.parametrize("gone", ["", "drop table spans"])
def test_a_database_of_a_newer_mlflow_is_one_line(store, capsys, gone):
    with contextlib.closing(sqlite3.connect(store.root / "mlflow.db")) as database, database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
        database.execute(gone)
    assert "ffffffffffff" in failed(store, capsys)


def test_what_is_no_database_is_one_line(store, capsys):
    (store.root / "mlflow.db").unlink()
    (store.root / "mlflow.db").mkdir()
    assert "mlflow.db is no file; move it away" in failed(store, capsys)


@pytest.mark.parametrize("name", ["mlflow.db", "mlflow.db-journal", "mlflow-artifacts"])
def test_no_link_leads_a_mirror_out_of_the_store(store, tmp_path, capsys, name):
    outside, place = tmp_path / "outside", store.root / name
    if place.is_dir():
        shutil.rmtree(place)
        outside.mkdir()
    else:
        place.unlink(missing_ok=True)
        outside.write_bytes(b"mine")
    place.symlink_to(outside)
    assert f"{name} is a link; move it away" in failed(store, capsys)
    assert list(tmp_path.rglob("outside/*")) == []
    assert outside.is_dir() or outside.read_bytes() == b"mine"


def test_no_link_among_the_artifacts_of_a_run_is_written_through(store, tmp_path, capsys):
    assert mlflow_sync.main([str(store.root)]) == 0
    run_id = runs_of(tracking_uri(store), "table3")[IDS[1]].info.run_id
    place = store.root / "mlflow-artifacts" / "table3" / run_id / "artifacts"
    place.parent.mkdir()
    (tmp_path / "mine").mkdir()
    place.symlink_to(tmp_path / "mine")
    finish(store.trial(IDS[1]))
    assert "artifacts is a link; move it away" in failed(store, capsys)
    place.unlink()
    place.mkdir()
    (tmp_path / "mine" / "one").write_text("mine")
    (place / "config.json").symlink_to(tmp_path / "mine" / "one")
    assert mlflow_sync.main([str(store.root)]) == 0
    assert (tmp_path / "mine" / "one").read_text() == "mine"
    assert (place / "config.json").read_text() != "mine"


def test_no_run_of_a_strange_database_is_written_elsewhere(store, tmp_path, capsys):
    with contextlib.closing(sqlite3.connect(store.root / "mlflow.db")) as database, database:
        elsewhere = (tmp_path / "elsewhere").as_uri()
        database.execute("update runs set artifact_uri = ? where status = 'RUNNING'", [elsewhere])
    finish(store.trial(IDS[1]))
    assert f"keeps its artifacts at {elsewhere}, not below" in failed(store, capsys)
    assert not (tmp_path / "elsewhere").exists()
