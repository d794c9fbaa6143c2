"""Compaction: the same tables, faster; whole at every moment, whoever writes meanwhile."""

import itertools
import multiprocessing
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.tracking.test_store import CONFIGS, FACTS, FIRST, FOURTH, SECOND, THIRD, evaluation
from tracking import Store, StoreError, create_store, open_store
from tracking.compaction import main
from tracking.files.read import read_json
from tracking.files.write import write_json
from tracking.schema import SCHEMA_VERSION, TABLES
from tracking.tables.generation import GenerationError, open_generation, pointed_at, signatures

SPAWN = multiprocessing.get_context("spawn")


def run_trial(store: Store, trial_id: str, epochs: int, status: str = "finished") -> None:
    record = store.trial(trial_id)
    with record.claim():
        record.begin({"host": "here"})
        for epoch in range(1, epochs + 1):
            record.add(*evaluation(epoch))
        record.end(status)


def planned(store: Store, study: str, *trial_ids: str) -> None:
    for trial_id in trial_ids:
        store.trial(trial_id).folder.mkdir(parents=True, exist_ok=True)
        store.trial(trial_id).create(CONFIGS[trial_id], FACTS)
    store.plan(study, trial_ids)


@pytest.fixture
def store(tmp_path):
    """Three trials, not in the order of their ids: one finished, one running, one pending."""
    made = create_store(tmp_path / "store")
    planned(made, "table3", SECOND, FIRST, THIRD)
    run_trial(made, SECOND, 3)
    record = made.trial(FIRST)
    with record.claim():
        record.begin({"host": "here"})
        record.add(*evaluation(1))
    return made


def tables(store: Store) -> dict:
    return {name: getattr(store, name)() for name in TABLES}


def from_own_files(store: Store) -> dict:
    found = store.snapshot(compacted=False).tables(TABLES)
    return {name: table.cast(TABLES[name]) for name, table in found.items()}


def test_compaction_changes_no_table(store):
    before = tables(store)
    assert [len(table) for table in before.values()] == [3, 4, 8]
    pointer = store.compact()
    assert pointer == store.root / "parquet"
    assert store.snapshot().unchanged == {FIRST, SECOND, THIRD}
    assert tables(store) == before
    for name, table in before.items():
        written = pq.read_table(pointer / f"{name}.parquet")
        assert written.schema.metadata[b"nsa_schema_version"] == str(SCHEMA_VERSION).encode()
        assert written.replace_schema_metadata(None) == table


def test_rows_of_unchanged_trials_come_from_the_generation(store):
    store.compact()
    path = pointed_at(store.root) / "dynamics.parquet"
    table = pq.read_table(path)
    marked = table.set_column(4, "loss", [[7.0] * len(table)])
    pq.write_table(marked.cast(table.schema), path)
    assert store.dynamics()["loss"].to_pylist() == [7.0] * 4
    store.trial(FIRST).add(*evaluation(2))  # its row of the generation no longer counts
    assert store.dynamics()["loss"].to_pylist() == [7.0] * 3 + [-0.5] * 2


@pytest.mark.parametrize("trial_id", [SECOND, FIRST, THIRD])  # first, in the middle, last
def test_what_changes_afterwards_is_seen_at_once(store, trial_id):
    store.compact()
    run_trial(store, trial_id, 5)
    assert store.snapshot().unchanged == {FIRST, SECOND, THIRD} - {trial_id}
    assert tables(store) == from_own_files(store)
    rows = store.sql(f"from trials where trial_id = '{trial_id}'").to_pylist()
    assert [(row["status"], row["epochs"]) for row in rows] == [("finished", 5)]


def test_a_retry_is_seen_before_it_has_measured_anything(store):
    store.compact()
    record = store.trial(SECOND)
    with record.claim():
        record.begin({"host": "there"})
        (row,) = store.sql(f"from trials where trial_id = '{SECOND}'").to_pylist()
        assert (row["status"], row["attempts"], row["host"]) == ("running", 2, "there")


def test_plans_that_change_afterwards_are_seen(store):
    store.compact()
    planned(store, "another", FOURTH, FIRST)
    rows = [(row["study"], row["trial_id"]) for row in store.trials().to_pylist()]
    assert rows == [
        ("another", FOURTH),
        ("another", FIRST),
        ("table3", SECOND),
        ("table3", FIRST),
        ("table3", THIRD),
    ]
    assert tables(store) == from_own_files(store)
    (store.root / "studies" / "table3.json").unlink()
    assert set(store.dynamics()["trial_id"].to_pylist()) == {FIRST}
    assert tables(store) == from_own_files(store)


def test_a_store_without_trials(tmp_path):
    empty = create_store(tmp_path / "empty")
    empty.compact()
    assert {name: table.num_rows for name, table in tables(empty).items()} == dict.fromkeys(
        TABLES, 0
    )


def test_a_replaced_file_of_equal_size_and_time_has_another_signature(store):
    folder = store.trial(SECOND).folder
    path, before = folder / "status.json", signatures([folder])
    status = path.stat()
    copy = folder / "copy"
    copy.write_bytes(path.read_bytes().replace(b"here", b"else"))
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)
    assert signatures([folder]) != before


def test_a_copied_store_reads_and_compacts(store, tmp_path):
    store.compact()
    before = tables(store)
    copy = Store(tmp_path / "copy")
    shutil.copytree(store.root, copy.root)  # which makes a folder out of the link
    assert tables(copy) == before
    copy.compact()
    assert (copy.root / "parquet").is_symlink()
    assert copy.snapshot().unchanged == {FIRST, SECOND, THIRD}
    assert tables(copy) == before


def test_the_plain_folder_of_an_older_version_makes_way(store):
    folder = store.root / "parquet"
    folder.mkdir()
    pq.write_table(store.trials(), folder / "trials.parquet")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"parquet also holds notes.txt; move that away"):
        store.compact()
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    store.compact()
    assert folder.is_symlink()


# generations --------------------------------------------------------------------------------------


def numbers(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "generations").iterdir() if path.is_dir())


def test_the_generation_before_is_kept_and_older_ones_go(store):
    for last in range(1, 5):
        store.compact()
        assert numbers(store) == [f"{n:06}" for n in range(max(1, last - 1), last + 1)]
        assert pointed_at(store.root).name == f"{last:06}"


def test_a_reader_that_just_followed_the_pointer_still_reads(store):
    held = open_generation(pointed_at_after_compaction(store))
    store.compact()
    assert held.table("scores").num_rows == 8
    store.compact()
    with pytest.raises(GenerationError, match=r"000001/scores.parquet cannot be read"):
        held.table("scores")


def pointed_at_after_compaction(store: Store) -> Path:
    store.compact()
    return pointed_at(store.root)


class Overtaken(Store):
    """A reader that is held up between the pointer and the tables, twice."""

    times = 0

    def snapshot(self, *, compacted: bool = True):
        found = super().snapshot(compacted=compacted)
        if compacted and self.times < 2:
            self.times += 1
            for _ in range(2):
                open_store(self.root).compact()
        return found


def test_a_reader_whose_generation_is_gone_takes_the_next(store):
    store.compact()
    slow = Overtaken(store.root)
    assert slow.scores() == store.scores()
    assert slow.times == 2
    assert pointed_at(store.root).name == "000005"


@pytest.mark.parametrize("name", ["trials", "dynamics", "scores"])
@pytest.mark.parametrize("damage", ["truncated", "gone", "of another"])
def test_a_damaged_generation_is_named_and_made_anew(store, name, damage):
    before = tables(store)
    store.compact()
    path = pointed_at(store.root) / f"{name}.parquet"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "gone":
        path.unlink()
    elif name == "trials":
        pq.write_table(pq.read_table(path).drop_columns(["trial_id"]), path)
    else:
        pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(StoreError, match=rf"{name}.parquet cannot be read.*nsa compact"):
        getattr(store, name)()
    assert main([str(store.root)]) == 0
    assert tables(store) == before


def test_a_generation_of_another_schema_version_is_left_aside(store):
    store.compact()
    sources = pointed_at(store.root) / "sources.json"
    write_json(sources, read_json(sources) | {"schema_version": SCHEMA_VERSION - 1})
    assert store.snapshot().unchanged == frozenset()
    assert tables(store) == from_own_files(store)


def test_a_pointer_out_of_the_store_is_refused(store, tmp_path):
    store.compact()
    shutil.copytree(pointed_at(store.root), tmp_path / "000001")
    (store.root / "parquet").unlink()
    (store.root / "parquet").symlink_to(tmp_path / "000001")
    with pytest.raises(StoreError, match=r"parquet points to .*need generations/NUMBER"):
        store.scores()


# damage -------------------------------------------------------------------------------------------


def test_a_damaged_trial_stops_compaction_or_is_left_out_and_seen_when_mended(store, capsys):
    path = store.trial(SECOND).folder / "dynamics.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert main([str(store.root)]) == 2
    assert f"error: {path} cannot be read" in capsys.readouterr().err
    assert pointed_at(store.root) is None
    assert main([str(store.root), "--skip-damaged"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{store.root}/parquet\n"
    assert err.startswith(f"skipped: {path} cannot be read")
    with pytest.raises(StoreError, match=r"dynamics.parquet cannot be read"):
        store.dynamics()
    lenient = open_store(store.root, skip_damaged=True)
    assert lenient.dynamics()["trial_id"].to_pylist() == [FIRST]
    assert lenient.scores().num_rows == 8
    path.write_bytes(whole)
    assert tables(store) == from_own_files(store)
    assert store.dynamics().num_rows == 4


# others at work -----------------------------------------------------------------------------------


def _compact_for_ever(path: Path, ready) -> None:
    while True:
        open_store(path).compact()
        ready.set()


def test_kill_while_compacting_leaves_a_whole_store(store):
    before = tables(store)
    for round_ in range(5):
        ready = SPAWN.Event()
        compactor = SPAWN.Process(target=_compact_for_ever, args=(store.root, ready))
        compactor.start()
        assert ready.wait(60)
        time.sleep(0.011 * (round_ + 1))
        os.kill(compactor.pid, signal.SIGKILL)
        compactor.join()
        assert tables(store) == before
    store.compact()
    assert len(numbers(store)) == 2
    assert tables(store) == before


EPOCHS, TRIALS = 6, 30


def _write_trials(path: Path, done) -> None:
    """Trials one after another, every third retried after it failed."""
    store = open_store(path)
    for number, trial_id in enumerate(store.members("busy")):
        if number % 3 == 0:
            run_trial(store, trial_id, EPOCHS // 2, "failed")
        run_trial(store, trial_id, EPOCHS)
    done.set()


def test_readers_see_a_whole_store_while_trials_are_written_and_compacted(tmp_path):
    path = tmp_path / "store"
    store = create_store(path)
    planned(store, "busy", *itertools.islice(CONFIGS, TRIALS))
    done, ready = SPAWN.Event(), SPAWN.Event()
    compactor = SPAWN.Process(target=_compact_for_ever, args=(path, ready))
    writer = SPAWN.Process(target=_write_trials, args=(path, done))
    compactor.start()
    assert ready.wait(60)
    writer.start()
    seen, generations, mixed, reads = {}, set(), 0, 0
    try:
        while not done.is_set():
            reads += 1
            seen = checked(open_store(path), seen)
            generations.add(pointed_at(path).name)
            with suppress(GenerationError):  # two compactions later; queries then look again
                mixed += 0 < len(store.snapshot().unchanged) < TRIALS
        writer.join(60)
        assert writer.exitcode == 0
        assert compactor.is_alive()
    finally:
        os.kill(compactor.pid, signal.SIGKILL)
        writer.kill()
        compactor.join()
    assert checked(store, seen) == dict.fromkeys(store.members("busy"), EPOCHS)
    assert reads > 5
    assert len(generations) > 3  # compactions came in between
    assert mixed > 0  # and readers joined a generation with newer files


def checked(store: Store, before: dict[str, int]) -> dict[str, int]:
    """Epochs by trial, after checking all that a reader may rely on in any one answer."""
    answer = store.sql("""
        with s as (
          select trial_id, count(*) as scores, count(distinct (epoch, layer, scorer)) as different,
            max(epoch) as last_scored
          from scores group by trial_id
        ), d as (
          select trial_id, count(*) as epochs_seen, count(distinct epoch) as epochs_different,
            max(epoch) as last_epoch
          from dynamics group by trial_id
        )
        select * from trials left join d using (trial_id) left join s using (trial_id)
    """).to_pylist()
    assert len(answer) == TRIALS
    for row in answer:
        epochs = row["epochs_seen"] or 0
        assert row["epochs"] == epochs == (row["epochs_different"] or 0) == (row["last_epoch"] or 0)
        assert row["scores"] == row["different"], "a doubled row of scores"
        assert (row["last_scored"] or 0) >= epochs, "an epoch without its scores"
        assert epochs >= before.get(row["trial_id"], 0), "rows were lost"
        if row["status"] == "finished":
            assert (epochs, row["scores"]) == (EPOCHS, 2 * EPOCHS)
        if row["status"] == "failed":
            assert epochs >= EPOCHS // 2  # a retry may have begun since
    return {row["trial_id"]: row["epochs"] for row in answer}
