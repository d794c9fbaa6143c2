"""Random damage to a store; ``python -m benchmarks.store_damage`` does the same 2,000 times."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.store_damage import STUDY, strike
from benchmarks.store_damages import files
from benchmarks.store_uses import USES, compare, rows_of
from studies.cluster.notes import notes_storage, remove_notes
from studies.search.suggestions import open_storage
from tests.tracking.tables.test_compaction import planned, run_trial
from tests.tracking.test_store import CONFIGS, FIRST, SECOND, THIRD
from tracking import StoreError, compaction, create_store, open_store, query
from tracking.files.place import remove_folder, set_aside
from tracking.files.seal import KEY
from tracking.report import __main__ as report
from tracking.report.document import write_report
from tracking.trial import ENDED

QUICK = ("tables", "SQL", "compaction", "work")


def test_a_hundred_damages_give_right_rows_or_one_named_error(tmp_path):
    outcome = strike(100, tmp_path, seed=1, uses=QUICK)
    assert not outcome.wrong
    assert outcome.counts.total() == 100 * len(QUICK)


@pytest.fixture
def store(tmp_path):
    """Two trials that have finished, compacted and reported."""
    made = create_store(tmp_path / "store")
    planned(made, STUDY, FIRST, SECOND)
    run_trial(made, FIRST, 2)
    run_trial(made, SECOND, 2)
    made.compact()
    write_report(made, STUDY)
    return made


def test_what_arrow_says_in_two_lines_is_one(store):
    path = store.root / "trials" / FIRST / "scores.parquet"
    content = bytearray(path.read_bytes())
    at = content.rindex(KEY.encode()) - 40  # without a seal Arrow is asked
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{FIRST}/scores.parquet cannot be read") as caught:
        open_store(store.root).scores()
    assert "\n" not in str(caught.value)


def times(place: Path) -> dict[Path, int]:
    """When each file and folder there was changed, in ns."""
    return {each: each.stat().st_mtime_ns for each in [place, *place.rglob("*")]}


def test_no_name_in_a_store_is_a_link_that_is_followed_out(store, tmp_path):
    """Each of its files and folders in turn; the writers and deleters leave what is outside."""
    names = {path.relative_to(store.root) for path in files(store.root)}
    names |= {folder for name in names for folder in name.parents} - {Path()}
    names |= {Path("writer.lock"), Path("generations/.lock"), Path(f"trials/{FIRST}/.lock")}
    names |= {Path("ray"), Path("probes"), Path("optuna"), Path(f"optuna/{STUDY}.journal")}
    assert len(names) > 30
    right = rows_of(store)
    for number, name in enumerate(sorted(names)):
        copy, outside = tmp_path / f"{number}", tmp_path / f"outside-{number}"
        shutil.copytree(store.root, copy, symlinks=True)
        path = copy / name
        if path.is_symlink():  # the one that belongs here
            continue
        if path.exists():
            path.rename(outside)
        elif name.suffix:
            outside.write_text("mine")
        else:
            outside.mkdir()
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(outside)
        before = times(outside)
        for use in USES.values():
            with suppress(StoreError):
                use(open_store(copy), right)
        with suppress(StoreError):
            remove_folder(copy / "probes" / "x")
        with suppress(StoreError):
            remove_notes(open_store(copy))
            Path(notes_storage(open_store(copy))["storage_path"]).mkdir(parents=True)
        with suppress(StoreError):
            open_storage(copy / "optuna" / f"{STUDY}.journal")
        assert times(outside) == before, name


def test_what_is_moved_away_is_trained_again(store):
    """As the messages advise: a status counts with its rows alone."""
    folder = store.trial(FIRST).folder
    for name in ("dynamics.parquet", "scores.parquet", "status.json"):
        path = folder / name
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(StoreError, match=rf"{name} cannot be read .*move it away to go on"):
            compare(rows_of(open_store(store.root)), {})
        set_aside(path)
        assert store.trial(FIRST).state()["status"] == "pending"
        assert store.trials()["status"].to_pylist() == ["pending", "finished"]
        run_trial(store, FIRST, 2)
        assert store.trials()["status"].to_pylist() == ["finished", "finished"]
        assert store.dynamics().num_rows == 4


@pytest.mark.parametrize("status", ENDED)
def test_a_trial_that_ended_before_its_first_evaluation_has_ended(store, status):
    store.plan(STUDY, [THIRD])
    store.trial(THIRD).create(CONFIGS[THIRD], {"class_name": "3", "data_fingerprint": "f"})
    store.trial(THIRD).end(status, "at once")
    assert store.trial(THIRD).state()["status"] == status


def test_the_configurations_of_two_trials_swapped_are_an_error_for_every_reader(store):
    """Their ids are hashes of them."""
    one, other = store.trial(FIRST), store.trial(SECOND)
    mine, theirs = one.definition(), other.definition()
    one.write_artifact("config", theirs)
    other.write_artifact("config", mine)
    for use in USES.values():
        with pytest.raises(StoreError, match=r"config.json .*the configuration of another trial"):
            use(open_store(store.root), {})


def lost_studies(folder: Path, how: str) -> None:
    plan = folder / f"{STUDY}.json"
    plan.unlink()
    if how in ("{}", '{"trials": 3}'):
        plan.write_text(how)
    elif how in ("pipe", "loop"):
        os.mkfifo(plan) if how == "pipe" else plan.symlink_to(plan)
    elif how != "no file":
        folder.rmdir()
        if how == "a file":
            folder.write_text("")
        elif how == "a pipe":
            os.mkfifo(folder)
        elif how == "a link to nothing":
            folder.symlink_to(folder.with_name("nothing"))


@pytest.mark.parametrize("how", ["{}", '{"trials": 3}', "pipe", "loop", "no file", "no folder",
                                 "a file", "a pipe", "a link to nothing"])  # fmt: skip
def test_trials_whose_study_is_lost_are_not_taken_for_none(store, how, capsys):
    lost_studies(store.root / "studies", how)
    commands = (
        (query, [store.root, "select 1 from trials"]),
        (compaction, [store.root]),
        (report, [store.root]),
    )
    for command, arguments in commands:
        assert command.main([*map(str, arguments)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {store.root / 'studies'}"), said


def test_a_store_in_the_making_has_trials_and_no_study_yet(tmp_path):
    made = create_store(tmp_path / "store")
    planned(made, STUDY, FIRST)
    (made.root / "studies" / f"{STUDY}.json").unlink()  # which is written last
    assert made.studies() == []
    assert made.trials().num_rows == 0


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["a file", "a pipe"])
@pytest.mark.parametrize("name", [f"trials/{FIRST}", "trials", "parquet"])
def test_what_is_no_folder_is_one_named_error(store, make, name, capsys):
    path = store.root / name
    path.unlink() if path.is_symlink() else shutil.rmtree(path)
    make(path)
    assert compaction.main([str(store.root)]) == 2
    said = capsys.readouterr().err
    assert "is no folder" in said
    assert said.startswith(f"error: {path}")
    if name != "parquet":  # which queries need not
        assert query.main([str(store.root), "select 1 from trials"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}")


@pytest.mark.root
def test_on_a_read_only_disk_the_error_says_what_to_do(store, capsys):
    subprocess.run(["mount", "--bind", store.root, store.root], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", store.root], check=True)
        for command in (compaction, report):
            assert command.main([str(store.root)]) == 2
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert (
                "(Read-only file system); make its file system writable, or work on a copy" in said
            )
        assert query.main([str(store.root), "select 1 from trials"]) == 0
    finally:
        subprocess.run(["umount", "--lazy", store.root], check=True)
