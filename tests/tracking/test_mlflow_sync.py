"""The command that makes a mirror, or makes up for what one has missed."""

import pytest

from tests.conftest import free_port
from tests.tracking.mlflow.test_mirror import IDS, add_epoch, begin, finish
from tests.tracking.mlflow_lab import runs_of, values_in_mlflow, values_in_store
from tracking import create_store, mlflow_sync
from tracking.mlflow.place import tracking_uri


@pytest.fixture
def store(tmp_path):
    made = create_store(tmp_path / "store")
    for trial_id in IDS:
        add_epoch(begin(made, trial_id), 1)
    finish(made.trial(IDS[0]))
    made.plan("table3", IDS)
    made.plan("one", IDS[:1])
    return made


def test_it_syncs_every_study_and_says_so(store, capsys):
    for name in ("one.md", "one.png", "report/one.html"):
        (store.root / name).parent.mkdir(exist_ok=True)
        (store.root / name).write_text("made by the study")
    assert mlflow_sync.main([str(store.root)]) == 0
    out = capsys.readouterr().out
    assert "one: 1 trials, 1 brought up to date" in out
    assert "table3: 2 trials, 2 brought up to date" in out
    uri = tracking_uri(store)
    assert values_in_mlflow(uri, "table3") == values_in_store(store)
    parent = store.root / "mlflow-artifacts" / "one" / runs_of(uri, "one")["one"].info.run_id
    names = {path.name for path in (parent / "artifacts").iterdir()}
    assert names == {"one.md", "one.png", "one.html"}
    assert mlflow_sync.main([str(store.root)]) == 0
    assert "table3: 2 trials, 0 brought up to date" in capsys.readouterr().out


def test_it_syncs_one_study_elsewhere(store, tmp_path):
    uri = f"sqlite:///{tmp_path}/elsewhere.db"
    assert mlflow_sync.main([str(store.root), "--study", "one", "--tracking-uri", uri]) == 0
    assert runs_of(uri, "one").keys() == {"one", IDS[0]}
    assert not (store.root / "mlflow.db").exists()


def test_errors_name_what_is_wrong(store, tmp_path, capsys):
    assert mlflow_sync.main([str(store.root), "--study", "nope"]) == 2
    assert "no study 'nope' in the store (it has: one, table3)" in capsys.readouterr().err
    assert mlflow_sync.main([str(tmp_path / "none")]) == 2
    assert "no store at" in capsys.readouterr().err
    uri = f"http://127.0.0.1:{free_port()}"
    assert mlflow_sync.main([str(store.root), "--tracking-uri", uri]) == 1
    assert f"error: MLflow at {uri}: " in capsys.readouterr().err


def test_a_store_that_a_study_is_writing_is_refused(store, capsys):
    with store.writing("a study"):
        assert mlflow_sync.main([str(store.root)]) == 2
    assert "is being written by a study, process" in capsys.readouterr().err
