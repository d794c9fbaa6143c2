"""The store: what it refuses, what its tables hold, and that files are whole or absent."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracking import SCHEMA_VERSION, StoreError, create_store, open_store
from tracking.schema import DYNAMICS, SCORES, TABLES, TRIALS
from tracking.trial import trial_id as id_of

CONFIG = {
    "dataset": "digits", "normal_class": 3, "method": "simsiam", "norm": "both",
    "batch_size": 16, "pollution": 0.1, "seed": 0, "budget": 2, "budget_unit": "epochs",
    "evaluations": 2, "layers": ["embedding"], "probe_images": 0,
    "learning_rate": 1e-3, "weight_decay": 0.0, "depth": 10, "width": 4,
    "stem": "3x3", "precision": "fp32", "channels_last": True,
    "augment": {"flip": 0.0}, "method_options": {"projector_dim": 8},
}  # fmt: skip
CONFIGS = {id_of(each, "f"): each for each in ({**CONFIG, "seed": n} for n in range(100))}
FACTS = {"class_name": "3", "data_fingerprint": "f"}
FIRST, SECOND, THIRD, FOURTH, *_ = CONFIGS


def evaluation(epoch: int, loss: float = -0.5) -> tuple[dict, list[dict]]:
    names = [n for n in DYNAMICS.names if n not in ("trial_id", "epoch", "step", "time")]
    dynamics = dict.fromkeys(names, 1.0) | {"collapsed": False, "loss": loss}
    scores = [
        {"layer": "embedding", "scorer": name, "auroc": 0.9, "auprc": 0.8, "fpr95": 0.3}
        for name in ("c-cos", "k-cos")
    ]
    return {**dynamics, "epoch": epoch, "step": 10 * epoch}, scores


@pytest.fixture
def store(tmp_path):
    made = create_store(tmp_path / "store")
    for trial_id in (FIRST, SECOND):
        made.trial(trial_id).folder.mkdir(parents=True)
        made.trial(trial_id).create(CONFIGS[trial_id], FACTS)
    made.plan("table3", [FIRST, SECOND])
    return made


def test_tables_have_their_schema_even_when_nothing_ran(store):
    assert store.trials().schema == TRIALS
    assert store.trials()["status"].to_pylist() == ["pending", "pending"]
    assert store.dynamics().schema == DYNAMICS
    assert store.scores().schema == SCORES
    assert store.dynamics().num_rows == store.scores().num_rows == 0


def test_a_trial_that_ran_is_in_all_three_tables(store):
    record = store.trial(FIRST)
    with record.claim():
        record.begin({"host": "here", "torch": "2"})
        for epoch in (1, 2):
            record.add(*evaluation(epoch))
        record.end("finished", peak_memory_mb=12.5)
    row = store.trials().to_pylist()[0]
    assert (row["status"], row["epochs"], row["steps"], row["attempts"]) == ("finished", 2, 20, 1)
    assert row["pollution"] == 0.1
    assert json.loads(row["augment"]) == {"flip": 0.0}
    assert row["seconds"] == 4.0  # two epochs, one second of training and one of evaluation each
    assert row["ended_at"] >= row["started_at"]
    assert store.dynamics()["epoch"].to_pylist() == [1, 2]
    assert store.scores().num_rows == 4


def test_sql_can_tell_trials_whose_scores_have_other_definitions(store):
    for trial_id, version in ((FIRST, 1), (SECOND, 2)):
        record = store.trial(trial_id)
        with record.claim():
            record.begin({"score_versions": {"c-cos": 1, "k-cos": version}})
            record.add(*evaluation(1))
    query = """select trial_id, json_extract(score_versions, '$."k-cos"')::int from trials"""
    found = {tuple(row.values()) for row in store.sql(query).to_pylist()}
    assert found == {(FIRST, 1), (SECOND, 2)}


def test_an_epoch_that_comes_again_replaces_its_rows(store):
    record = store.trial(FIRST)
    for epoch, loss in ((1, -0.1), (2, -0.2), (1, -0.3)):
        record.add(*evaluation(epoch, loss))
    assert store.dynamics()["loss"].to_pylist() == [-0.3, -0.2]
    assert store.scores()["epoch"].to_pylist() == [1, 1, 2, 2]


def test_planning_again_adds_and_never_doubles(store):
    store.plan("table3", [SECOND, "2" * 16])
    assert store.members("table3") == [FIRST, SECOND, "2" * 16]


def test_a_trial_of_two_studies_is_stored_once_and_listed_in_both(store):
    store.plan("table1", [FIRST])
    store.trial(FIRST).add(*evaluation(1))
    assert store.trials()["study"].to_pylist() == ["table1", "table3", "table3"]
    assert store.dynamics().num_rows == 1


def test_sql_over_the_views(store):
    store.trial(FIRST).add(*evaluation(1))
    answer = store.sql(
        "select t.norm, avg(s.auroc) as auroc from scores s join trials t using (trial_id) "
        "where s.scorer = 'c-cos' group by t.norm"
    )
    assert answer.to_pylist() == [{"norm": "both", "auroc": 0.9}]


def test_summary_is_the_same_tables_with_a_version(store):
    store.trial(FIRST).add(*evaluation(1))
    folder = store.compact()
    for name in TABLES:
        written = pq.read_table(folder / f"{name}.parquet")
        assert written.schema.metadata[b"nsa_schema_version"] == str(SCHEMA_VERSION).encode()
        assert written.replace_schema_metadata(None) == getattr(store, name)()


def test_no_store_at_the_path(tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        open_store(tmp_path)


def test_another_schema_version_is_refused(store):
    (store.root / "store.json").write_text('{"schema_version": 99}')
    with pytest.raises(
        StoreError, match=f"schema version 99, this program reads 1 to {SCHEMA_VERSION}"
    ):
        open_store(store.root)


def test_a_folder_with_other_things_does_not_become_a_store(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="is not a store"):
        create_store(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "A B", ".hidden"])
def test_study_names_cannot_leave_the_store(store, name):
    with pytest.raises(StoreError, match="study name"):
        store.plan(name, [FIRST])


@pytest.mark.parametrize("trial_id", ["../../etc", "0" * 15, "G" * 16, ""])
def test_trial_ids_cannot_leave_the_store(store, trial_id):
    with pytest.raises(StoreError, match="trial id"):
        store.trial(trial_id)


@pytest.mark.parametrize("member", ["../../etc", "/etc", 7, None, "0" * 17])
def test_a_plan_edited_by_hand_cannot_leave_the_store(store, member):
    path = store.root / "studies" / "table3.json"
    path.write_text(json.dumps({"study": "table3", "trials": [FIRST, member]}))
    for ask in (store.trials, store.scores, lambda: store.members("table3")):
        with pytest.raises(StoreError, match=r"table3.json: trial id is .*need 16 hexadecimal"):
            ask()


@pytest.mark.parametrize("text", ["", "[1]", '{"trials": "all"}', '{"study": "table3"}'])
def test_a_damaged_plan_is_named(store, text):
    (store.root / "studies" / "table3.json").write_text(text)
    with pytest.raises(StoreError, match=r"table3.json"):
        store.trials()


def test_a_plan_that_names_a_trial_twice_has_it_once(store):
    path = store.root / "studies" / "table3.json"
    path.write_text(json.dumps({"study": "table3", "trials": [FIRST, FIRST, SECOND]}))
    assert store.trials()["trial_id"].to_pylist() == [FIRST, SECOND]


def test_planning_what_is_no_trial_id_is_refused(store):
    with pytest.raises(StoreError, match="trial id is 'x'"):
        store.plan("table3", ["x"])
    assert store.members("table3") == [FIRST, SECOND]


def test_links_out_of_the_store_are_refused(store, tmp_path):
    outside = tmp_path / "elsewhere" / SECOND
    outside.parent.mkdir()
    store.trial(SECOND).folder.rename(outside)
    (store.root / "trials" / SECOND).symlink_to(outside)
    for ask in (store.trials, store.dynamics, lambda: store.trial(SECOND)):
        with pytest.raises(StoreError, match=rf"{SECOND} is led out of the store by a link"):
            ask()
    (store.root / "trials" / SECOND).unlink()
    outside.rename(store.root / "trials" / SECOND)
    store.trial(FIRST).add(*evaluation(1))
    (store.trial(SECOND).folder / "scores.parquet").symlink_to(
        store.trial(FIRST).folder / "scores.parquet"
    )
    with pytest.raises(StoreError, match=rf"{SECOND}/scores.parquet is no plain file"):
        store.scores()


def test_a_truncated_file_is_named(store):
    store.trial(FIRST).add(*evaluation(1))
    path = store.trial(FIRST).folder / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"scores\.parquet cannot be read"):
        store.scores()


def test_unknown_status_is_refused(store):
    with pytest.raises(ValueError, match="'splendid'"):
        store.trial(FIRST).end("splendid")


def _hold_store(path: Path, ready) -> None:
    with create_store(path).writing("a study"):
        ready.set()
        time.sleep(60)


def test_a_second_driver_is_refused_and_the_lock_dies_with_its_holder(store):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_store, args=(store.root, ready))
    holder.start()
    assert ready.wait(30)
    with (
        pytest.raises(StoreError, match=rf"written by a study, process {holder.pid}"),
        store.writing("mine"),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with store.writing("mine"):
        pass


def _hold_trial(path: Path, ready) -> None:
    with open_store(path).trial(FIRST).claim():
        ready.set()
        time.sleep(60)


def test_a_trial_is_held_by_one_process_at_a_time(store):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_trial, args=(store.root, ready))
    holder.start()
    assert ready.wait(30)
    with (
        pytest.raises(StoreError, match=f"held by process {holder.pid}"),
        store.trial(FIRST).claim(wait_s=0.3),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with store.trial(FIRST).claim(wait_s=5):
        pass


def _rewrite_for_ever(path: Path, ready) -> None:
    record = open_store(path).trial(FIRST)
    epoch = 0
    while True:
        epoch += 1
        record.add(*evaluation(epoch % 50 + 1, loss=float(epoch)))
        record.write_artifact("test_scores", pa.table({"row": list(range(5000))}))
        ready.set()


def test_kill_while_writing_leaves_whole_files(store):
    context = multiprocessing.get_context("spawn")
    for round_ in range(5):
        ready = context.Event()
        writer = context.Process(target=_rewrite_for_ever, args=(store.root, ready))
        writer.start()
        assert ready.wait(30)
        time.sleep(0.03 * (round_ + 1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        epochs = store.dynamics()["epoch"].to_pylist()
        assert epochs == sorted(set(epochs))
        assert set(store.scores()["epoch"].to_pylist()) >= set(epochs)
        assert pq.read_table(store.trial(FIRST).folder / "test_scores.parquet").num_rows == 5000


def rewrite(record, name: str, change) -> None:
    path = record.folder / f"{name}.parquet"
    table = pq.read_table(path).replace_schema_metadata(None)  # which has the seal
    pq.write_table(change(table), path)


def version_1(table: pa.Table) -> pa.Table:
    """Dynamics with the columns of version 1 (of its geometry, kappa and three that are gone)."""
    kept = [n for n in table.column_names if not n.startswith("projection_")]
    gone = ("resultant", "mmd", "uniformity", "alignment", "spread", "effective", "linear", "knn")
    kept = [n for n in kept if not n.startswith(gone) and n != "held_out_auroc"]
    old = table.select(kept)
    for name in ("spread_embedding", "spread_projection", "effective_rank"):
        old = old.append_column(name, pa.array([0.5] * len(old)))
    return old


def test_files_of_two_schema_versions_read_together(store):
    old = {key: value for key, value in CONFIG.items() if key not in ("layers", "probe_images")}
    first = id_of(old, "f")
    store.trial(first).create(old, FACTS)
    (store.root / "studies" / "table3.json").unlink()
    store.plan("older", [first, SECOND])
    for trial_id in (first, SECOND):
        record = store.trial(trial_id)
        with record.claim():
            record.begin({"host": "here"})
            record.add(*evaluation(1))
            record.end("finished")
    rewrite(store.trial(first), "dynamics", version_1)
    (store.root / "store.json").write_text('{"schema_version": 1}')
    older = open_store(store.root)
    assert older.trials().schema == TRIALS
    assert older.trials()["layers"].to_pylist() == [None, '["embedding"]']
    assert older.dynamics().schema == DYNAMICS
    first, second = older.dynamics().to_pylist()
    assert (first["spread_train"], first["kappa_train"], first["loss"]) == (None, 1.0, -0.5)
    assert (second["spread_train"], second["held_out_auroc"]) == (1.0, 1.0)
    answer = older.sql("select count(*) as n, count(spread_train) as known from dynamics")
    assert answer.to_pylist() == [{"n": 2, "known": 1}]
    create_store(store.root)  # whoever writes to it makes it one of today's
    assert json.loads((store.root / "store.json").read_text()) == {"schema_version": SCHEMA_VERSION}


def test_numbers_are_never_cast(store):
    for trial_id, loss in ((FIRST, 4.0), (SECOND, 4.5)):
        store.trial(trial_id).add(*evaluation(1, loss))

    def whole_numbers(table: pa.Table) -> pa.Table:
        place = table.column_names.index("loss")
        return table.set_column(place, "loss", table["loss"].cast(pa.int64()))

    assert store.sql("select max(loss) as loss from dynamics").to_pylist() == [{"loss": 4.5}]
    rewrite(store.trial(FIRST), "dynamics", whole_numbers)  # the first file read
    for ask in (store.dynamics, store.trial(FIRST).dynamics, lambda: store.sql("from dynamics")):
        with pytest.raises(StoreError, match=rf"{FIRST}/dyn.*'loss' is int64, need double"):
            ask()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("batch_size", 4.5, "'batch_size' is 4.5, need int64"),
        ("batch_size", "16", "'batch_size' is '16', need int64"),
        ("pollution", "0.1", "'pollution' is '0.1', need double"),
        ("seed", 2**70, "'seed' is 1180591620717411303424, need int64"),
    ],
)
def test_a_value_of_another_type_is_named(store, field, value, complaint):
    config = {**CONFIG, field: value}
    odd = id_of(config, "f")
    store.trial(odd).create(config, FACTS)
    store.plan("table3", [odd])
    with pytest.raises(StoreError, match=rf"{odd}/config.json.*{re.escape(complaint)}"):
        store.trials()
    others = open_store(store.root, skip_damaged=True).trials()
    assert others["trial_id"].to_pylist() == [FIRST, SECOND]


@pytest.mark.parametrize("text", ["{", "[]", '{"status": "running", "started_at": "yesterday"}'])
def test_a_damaged_status_is_named(store, text):
    (store.trial(SECOND).folder / "status.json").write_text(text)
    with pytest.raises(StoreError, match=rf"{SECOND}/status.json cannot be read"):
        store.trials()


def test_damaged_files_are_skipped_on_request_and_listed(store):
    for trial_id in (FIRST, SECOND):
        store.trial(trial_id).add(*evaluation(1))
    scores = store.trial(FIRST).folder / "scores.parquet"
    dynamics = store.trial(SECOND).folder / "dynamics.parquet"
    for path in (scores, dynamics):
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=rf"{SECOND}/dynamics.parquet cannot be read"):
        store.trials()
    lenient = open_store(store.root, skip_damaged=True)
    assert set(lenient.scores()["trial_id"].to_pylist()) == {SECOND}
    assert lenient.skipped.keys() == {scores}
    assert lenient.dynamics()["trial_id"].to_pylist() == [FIRST]
    assert lenient.trials()["trial_id"].to_pylist() == [FIRST]
    assert lenient.skipped.keys() == {scores, dynamics}
    assert all(str(path) in reason for path, reason in lenient.skipped.items())


def test_a_file_without_its_keys_or_of_another_trial_is_damaged(store):
    for trial_id in (FIRST, SECOND):
        store.trial(trial_id).add(*evaluation(1))
    rewrite(store.trial(FIRST), "scores", lambda table: table.drop_columns(["layer"]))
    with pytest.raises(StoreError, match=r"scores.parquet cannot be read \(no column 'layer'\)"):
        store.scores()
    shutil.copy(store.trial(SECOND).folder / "scores.parquet", store.trial(FIRST).folder)
    rewrite(store.trial(FIRST), "scores", lambda table: table)  # as older versions wrote it
    with pytest.raises(StoreError, match=f"{FIRST}/scores.parquet.*rows of other trials"):
        store.scores()


def test_a_trial_without_scores(store):
    dynamics, _ = evaluation(1)
    store.trial(FIRST).add(dynamics, [])
    store.trial(SECOND).add(*evaluation(1))
    assert store.dynamics().num_rows == 2
    assert set(store.scores()["trial_id"].to_pylist()) == {SECOND}
    assert store.sql("from trials where epochs = 1").num_rows == 2


@pytest.mark.parametrize(
    "name", ['Müller\'s "cat"', "<b>3</b> & | x", "two\nlines", "猫 \U0001f431", ""]
)
def test_class_names_come_back_as_they_are(store, name):
    path = store.trial(FIRST).folder / "config.json"
    path.unlink()
    store.trial(FIRST).create(CONFIG, {**FACTS, "class_name": name})
    store.compact()
    assert store.trials()["class_name"].to_pylist() == [name, "3"]
    quoted = name.replace("'", "''")
    assert store.sql(f"from trials where class_name = '{quoted}'").num_rows == 1


def test_signals_are_the_columns_of_the_training_split_alone(store):
    record = store.trial(FIRST)
    with record.claim():
        record.add(*evaluation(1))
        record.add(*evaluation(2))
    rows = record.signals()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert not any("test" in name or "probe" in name or "auc" in name for name in rows[0])
    assert {"kappa_train", "loss", "held_out_auroc", "projection_spread_train"} <= rows[0].keys()


@pytest.mark.parametrize("name", ["trials", "studies"])
def test_a_folder_that_is_a_link_out_of_the_store_is_refused(tmp_path, name):
    store = create_store(tmp_path / "store")
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.root / name).symlink_to(outside)
    with pytest.raises(StoreError, match="led out of the store by a link"):
        store.trial(FIRST) if name == "trials" else store.plan("some", [FIRST])
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["config.json", "status.json", "dynamics.parquet"])
def test_a_file_of_a_trial_that_is_a_link_is_not_followed(store, tmp_path, name):
    record = store.trial(FIRST)
    with record.claim():
        record.begin({})
        record.add(*evaluation(1))
    secret = tmp_path / "secret"
    (record.folder / name).rename(secret)
    (record.folder / name).symlink_to(secret)
    read = {"config": record.definition, "status": record.state, "dynamics": record.dynamics}
    with pytest.raises(StoreError, match=rf"{name} cannot be read \(it is a link\)"):
        read[name.partition(".")[0]]()


def test_of_a_store_that_was_moved_away_nothing_is_made_anew(store, tmp_path):
    record = store.trial(FIRST)
    with record.claim():
        record.begin({})
        store.root.rename(tmp_path / "elsewhere")
        for write in (
            lambda: record.begin({}),
            lambda: record.add(*evaluation(1)),
            lambda: store.plan("another", [FIRST]),
            lambda: store.trial(SECOND).claim().__enter__(),
            store.compact,
        ):
            with pytest.raises(StoreError, match="its store is not there"):
                write()
    assert not store.root.exists()
