"""A store in object storage: the same tables, never stale, as one in a folder."""

import json
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tests.tracking.tables.test_compaction import from_own_files, planned, run_trial, tables
from tests.tracking.test_store import CONFIGS, FACTS, FIRST, SECOND, evaluation
from tracking import StoreError, create_store, open_store
from tracking.files import lease as hold_module
from tracking.files.place import locate
from tracking.mlflow.mirror import MlflowMirror
from tracking.query import main as query
from tracking.report.document import write_report
from tracking.tables.generation import pointed_at

TIMES = ("time", "started_at", "ended_at")


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch):
    for name, value in {"BEAT_S": 0.2, "EXPIRY_S": 2.0}.items():
        monkeypatch.setattr(hold_module, name, value)


@pytest.fixture
def store(s3_store):
    made = create_store(s3_store)
    planned_in(made, "table3", FIRST, SECOND)
    run_trial(made, FIRST, 3)
    return made


def planned_in(store, study, *trial_ids):
    for trial_id in trial_ids:
        store.trial(trial_id).create(CONFIGS[trial_id], FACTS)
    store.plan(study, trial_ids)


def plain(store):
    """Its rows, without when they were written."""
    return {
        name: table.drop_columns([each for each in TIMES if each in table.column_names]).to_pylist()
        for name, table in tables(store).items()
    }


def test_its_tables_are_those_of_a_folder(store, tmp_path):
    folder = create_store(tmp_path / "store")
    planned(folder, "table3", FIRST, SECOND)
    run_trial(folder, FIRST, 3)
    assert plain(store) == plain(folder)
    assert open_store(str(store.root)).studies() == ["table3"]
    store.compact()
    assert plain(open_store(store.root)) == plain(folder)


def test_what_changes_after_a_compaction_is_seen_at_once(store):
    made = store.compact()
    assert store.snapshot().unchanged == {FIRST, SECOND}
    assert made == pointed_at(store.root)
    whole = pq.read_table(pa.BufferReader((made / "dynamics.parquet").read_bytes()))
    assert whole.num_rows == 3
    for epochs in (4, 5):
        run_trial(store, SECOND, epochs)
        assert store.snapshot().unchanged == {FIRST}
        assert tables(store) == from_own_files(store)
    store.compact()
    assert store.snapshot().unchanged == {FIRST, SECOND}
    assert tables(store) == from_own_files(store)


def test_a_file_replaced_in_the_second_of_the_compaction_is_seen(store, monkeypatch):
    """With an equal size, and a time that storage gives in whole seconds."""
    record = store.trial(FIRST)
    path = record.folder / "status.json"

    def rewrite(host):
        state = {**record.state(), "host": host}
        path.write_bytes(json.dumps(state).encode())

    rewrite("a" * 4)
    time.sleep(1 - time.time() % 1)  # early in a second, so that the two fall into one
    rewrite("b" * 4)
    store.compact()  # waits until it can tell
    rewrite("c" * 4)
    assert store.trials()["host"][0].as_py() == "cccc"


def test_two_drivers_are_kept_apart(store):
    refused = pytest.raises(StoreError, match="is being written by one, process")
    with store.writing("one"), refused, open_store(store.root).writing("two"):
        pass
    with open_store(store.root).writing("two"):
        pass


def test_a_trial_that_lost_its_claim_writes_no_more(store, monkeypatch):
    record = store.trial(SECOND)
    with record.claim():
        record.begin({"host": "here"})
        lease = record.folder / ".lock"
        lease.write_bytes(b'{"token": "of another", "holder": "another"}')
        time.sleep(1)
        with pytest.raises(StoreError, match="no longer this process's to write"):
            record.add(*evaluation(1))
    assert lease.exists()  # it is the other's


def test_damage_is_named_or_left_out(store):
    (store.root / "trials" / FIRST / "dynamics.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(StoreError, match=f"s3://.*{FIRST}/dynamics.parquet cannot be read"):
        store.dynamics()
    lenient = open_store(store.root, skip_damaged=True)
    assert lenient.dynamics().num_rows == 0
    assert [path.name for path in lenient.skipped] == ["dynamics.parquet"]


def test_a_place_with_other_things_is_no_store(s3_store):
    (locate(s3_store) / "other.txt").write_bytes(b"mine")
    with pytest.raises(StoreError, match="exists and is not a store"):
        create_store(s3_store)
    with pytest.raises(StoreError, match="no store at s3://"):
        open_store(s3_store)


def test_the_commands_take_its_name(store, capsys, s3_server):
    assert query([str(store.root), "select status, count(*) n from trials group by all"]) == 0
    assert "finished  1" in capsys.readouterr().out.replace("pending   1\n", "")
    done = subprocess.run(
        [sys.executable, "-m", "tracking.compaction", str(store.root)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{store.root}/generations/000001\n", done.stderr


def test_its_report_and_its_mirror(store, tmp_path):
    written = write_report(store, "table3")
    for page in (written.page, written.markdown):
        assert page.exists()
    assert b"table3" in (store.root / "report" / "table3.html").read_bytes()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = MlflowMirror(store, "table3", uri)
    assert mirror.finish() == 1
    assert mirror.sync() == 0
    run_trial(store, SECOND, 2)
    assert mirror.sync() == 1
    client = MlflowClient(uri)
    run = client.get_run(mirror.run_of(store.trial(SECOND)))
    assert run.data.metrics["auroc/c-cos"] == 0.9
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["config.json"]
