"""MLflow as a view of the store: complete, idempotent, and rebuilt to the same values."""

import sqlite3
import sys

import numpy as np
import pyarrow as pa
import pytest
from mlflow import MlflowClient

from benchmarks.generated_store import generate
from tests.tracking.mlflow_lab import OWN_TAGS, runs_of, values_in_mlflow, values_in_store
from tracking import StoreError, create_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri
from tracking.schema import DYNAMICS
from tracking.trial import trial_id as id_of

SIGNALS = [n for n in DYNAMICS.names if n not in ("trial_id", "epoch", "time", "step", "collapsed")]
CONFIG = {
    "dataset": "digits", "method": "simsiam", "norm": "f", "batch_size": 16,
    "normal_class": 1, "pollution": 0.1, "seed": 0, "augment": {"flip": 0.5},
    "method_options": {},
}  # fmt: skip
CONFIGS = {id_of(config, "f"): config for config in ({**CONFIG, "seed": n} for n in range(3))}
*IDS, THIRD = CONFIGS
ODD = "<b>\"x\"</b>; drop table runs; --\n'é' 火 100 % /../ \\ `nsa`"


def add_epoch(record, epoch: int, value: float | None = None) -> None:
    value = float(epoch) if value is None else value
    dynamics = dict.fromkeys(SIGNALS, value) | {"collapsed": False}
    scores = [
        {"layer": layer, "scorer": scorer, "auroc": 0.5 + value / 100, "auprc": 0.4, "fpr95": 0.3}
        for layer in ("embedding", "stem") for scorer in ("c-cos", "k-cos")
    ]  # fmt: skip
    record.add({**dynamics, "epoch": epoch, "step": 3 * epoch}, scores)


def finish(record, status: str = "finished") -> None:
    rng = np.random.default_rng(0)
    outlier = rng.random(100) < 0.5
    columns = {name: rng.random(100) + outlier for name in ("c-cos", "k-cos")}
    table = pa.table({"row": range(100), "is_outlier": outlier, **columns})
    record.write_artifact("test_scores", table)
    record.write_artifact("pollution", {"pollution": 0.1, "indices": [4, 5]})
    record.end(status, peak_memory_mb=700.0)


def begin(store, key: str, class_name: str = "1"):
    record = store.trial(key)
    record.folder.mkdir(parents=True)
    record.create(CONFIGS[key], {"class_name": class_name, "data_fingerprint": "f"})
    record.begin({"device": "cpu", "host": "here"})
    return record


@pytest.fixture
def store(tmp_path):
    made = create_store(tmp_path / "store")
    for key in IDS:
        begin(made, key)
    made.plan("table3", IDS)
    return made


def test_runs_metrics_params_tags_and_artifacts_equal_the_store(store):
    first, second = (store.trial(trial_id) for trial_id in IDS)
    for epoch in (1, 2, 5):
        add_epoch(first, epoch)
    finish(first)
    add_epoch(second, 1)
    uri = tracking_uri(store)
    mirror = MlflowMirror(store, "table3", uri)
    assert mirror.sync() == 2
    values = values_in_mlflow(uri, "table3")
    assert values == values_in_store(store)
    columns = len(DYNAMICS) - len(("trial_id", "epoch", "time"))
    embedding, stem = 2 * len(("auroc", "auprc", "fpr95")), 2 * len(("auroc",))
    assert values.total() == 4 * (columns + embedding + stem) + len(("peak_memory_mb",))
    runs = runs_of(uri, "table3")
    parent, child = runs["table3"], runs[IDS[0]]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.info.status, runs[IDS[1]].info.status) == ("FINISHED", "RUNNING")
    assert child.data.params["batch_size"] == "16"
    assert child.data.params["augment.flip"] == "0.5"
    wanted = {"nsa.status": "finished", "nsa.dataset": "digits", "nsa.class": "1", "nsa.norm": "f"}
    assert wanted.items() <= child.data.tags.items()
    row = next(r for r in store.trials().to_pylist() if r["trial_id"] == IDS[0])
    assert child.info.start_time == int(row["started_at"].timestamp() * 1000)
    assert child.info.end_time == int(row["ended_at"].timestamp() * 1000)
    artifacts = {item.path for item in mirror.client.list_artifacts(child.info.run_id)}
    assert artifacts == {"config.json", "pollution.json", "scores.png"}


def test_runs_are_found_by_tags_and_by_metrics(store):
    add_epoch(store.trial(IDS[0]), 40)
    add_epoch(store.trial(IDS[1]), 1)
    mirror = MlflowMirror(store, "table3", tracking_uri(store))
    mirror.sync()
    query = 'tags."nsa.norm" = \'f\' and metrics."auroc/c-cos" > 0.6'
    (found,) = mirror.client.search_runs([mirror.experiment], query)
    assert found.data.tags["nsa.trial_id"] == IDS[0]


def test_a_mirror_that_grew_beside_the_trials_equals_one_made_at_the_end(store, tmp_path):
    uri = tracking_uri(store)
    beside = MlflowMirror(store, "table3", uri)
    for epoch in (1, 2, 3):
        for trial_id in IDS:
            add_epoch(store.trial(trial_id), epoch)
        if epoch == 2:
            beside = MlflowMirror(store, "table3", uri)  # as a second driver would
        assert beside.sync() == 2
        assert beside.sync() == 0
    for trial_id, status in zip(IDS, ("finished", "failed"), strict=True):
        finish(store.trial(trial_id), status)
    assert beside.finish() == 2
    assert MlflowMirror(store, "table3", uri).finish() == 0
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    assert MlflowMirror(store, "table3", fresh).finish() == 2
    values = values_in_mlflow(uri, "table3")
    assert values == values_in_mlflow(fresh, "table3") == values_in_store(store)
    for trial_id in IDS:
        one, other = (runs_of(where, "table3")[trial_id] for where in (uri, fresh))
        assert one.data.params == other.data.params
        assert (one.info.status, one.info.start_time, one.info.end_time) == (
            (other.info.status, other.info.start_time, other.info.end_time)
        )
        different = {k for k, v in one.data.tags.items() if other.data.tags.get(k) != v}
        assert different <= {"mlflow.parentRunId"} | OWN_TAGS


def test_lost_marks_cost_nothing_but_time(store):
    add_epoch(store.trial(IDS[0]), 1)
    finish(store.trial(IDS[0]))
    uri = tracking_uri(store)
    mirror = MlflowMirror(store, "table3", uri)
    mirror.sync()
    run_id = runs_of(uri, "table3")[IDS[0]].info.run_id
    for name in ("epoch", "time", "status"):  # as if the mirror had been killed before the end
        mirror.client.delete_tag(run_id, f"nsa.synced_{name}")
    assert MlflowMirror(store, "table3", uri).sync() == 1
    assert runs_of(uri, "table3")[IDS[0]].info.run_id == run_id
    assert values_in_mlflow(uri, "table3") == values_in_store(store)


def test_epochs_that_come_again_replace_their_values(store):
    """As after a worker's death: the second numbers may differ on a GPU."""
    record = store.trial(IDS[0])
    uri = tracking_uri(store)
    mirror = MlflowMirror(store, "table3", uri)
    for epoch in (1, 2, 3):
        add_epoch(record, epoch)
    mirror.sync()
    for epoch in (2, 3):
        add_epoch(record, epoch, value=epoch + 0.5)
        mirror.sync()
    assert values_in_mlflow(uri, "table3") == values_in_store(store)


def test_names_with_odd_characters_and_numbers_without_end(tmp_path):
    store = create_store(tmp_path / "a store; with 'odd' % signs")
    record = begin(store, IDS[0], class_name=ODD)
    record.add(
        dict.fromkeys(SIGNALS, 1.0)
        | {"kappa_train": float("inf"), "collapsed": True, "epoch": 1, "step": 1},
        [],
    )
    record.end("failed", ODD)
    store.plan("0-odd_name-", IDS[:1])
    uri = f"sqlite:///{tmp_path}/other.db"
    MlflowMirror(store, "0-odd_name-", uri).finish()
    run = runs_of(uri, "0-odd_name-")[IDS[0]]
    assert run.data.tags["nsa.class"] == run.data.tags["nsa.message"] == ODD
    assert run.data.params["class_name"] == ODD
    assert run.info.status == "FAILED"
    assert run.data.metrics["signal/kappa_train"] == sys.float_info.max  # MLflow knows no infinity
    assert run.data.metrics["signal/collapsed"] == 1


def test_two_stores_with_the_same_trial_share_a_server_and_no_run(store, tmp_path):
    other = create_store(tmp_path / "other")
    begin(other, IDS[0])
    other.plan("table3", IDS[:1])
    add_epoch(store.trial(IDS[0]), 1)
    add_epoch(other.trial(IDS[0]), 1, value=7.0)
    uri = f"sqlite:///{tmp_path}/shared.db"
    for each in (store, other):
        mirror = MlflowMirror(each, "table3", uri)
        mirror.sync()
    query = f"tags.`nsa.trial_id` = '{IDS[0]}'"
    found = mirror.client.search_runs([mirror.experiment], query)
    assert {run.data.metrics["signal/loss"] for run in found} == {1.0, 7.0}


def test_an_experiment_that_was_deleted_comes_back(store):
    add_epoch(store.trial(IDS[0]), 1)
    uri = tracking_uri(store)
    mirror = MlflowMirror(store, "table3", uri)
    mirror.finish()
    MlflowClient(uri).delete_experiment(mirror.experiment)
    MlflowMirror(store, "table3", uri).finish()
    assert values_in_mlflow(uri, "table3") == values_in_store(store)


def test_a_whole_store_with_every_kind_of_end(tmp_path):
    store = generate(tmp_path / "generated", trials=12, epochs=7, layers=3, scorers=4)
    uri = tracking_uri(store)
    assert MlflowMirror(store, "generated", uri).finish() == 11  # one never began
    expected = values_in_store(store)
    assert values_in_mlflow(uri, "generated") == expected
    with sqlite3.connect(store.root / "mlflow.db") as database:
        (count,) = database.execute("select count(*) from metrics").fetchone()
    assert count == expected.total() > 2000
    ends = {run.data.tags.get("nsa.status"): run.info.status
            for run in runs_of(uri, "generated").values()}  # fmt: skip
    assert ends == {
        None: "FINISHED", "finished": "FINISHED", "collapsed": "FINISHED", "stopped": "FINISHED",
        "failed": "FAILED", "diverged": "FAILED",
    }  # fmt: skip


def test_trials_whose_folders_were_swapped_are_an_error(store):
    uri = tracking_uri(store)
    MlflowMirror(store, "table3", uri).sync()
    one, other = (store.trial(key).folder for key in IDS)
    one.rename(one.with_name("x"))
    other.rename(one)
    one.with_name("x").rename(other)
    with pytest.raises(StoreError, match=rf"{IDS[0]}/\w+.json cannot be read"):
        MlflowMirror(store, "table3", uri).sync()


def test_a_trial_that_failed_before_it_began_is_in_mlflow(store):
    """Whose device, say, is not there: no attempt has begun."""
    record = store.trial(key := THIRD)
    record.create(CONFIGS[key], {"class_name": "1", "data_fingerprint": "f"})
    record.end("failed", "no such device")
    store.plan("table3", [key])
    uri = tracking_uri(store)
    assert MlflowMirror(store, "table3", uri).sync() == 3
    run = runs_of(uri, "table3")[key]
    assert run.info.status == "FAILED"
    assert run.data.tags["nsa.message"] == "no such device"
    assert run.info.start_time == run.info.end_time
