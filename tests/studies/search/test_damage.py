"""A search whose Optuna journal was damaged goes on: nothing is lost, nothing runs twice."""

import logging

import pytest
from optuna.trial import TrialState

from nsa_core import InputError
from studies.search import journal as object_journal
from studies.search.matching import TRIAL_ID
from studies.search.suggestions import open_storage, open_study
from tests.studies.search.test_suggestions import PURPOSE, SPACE, end, optuna_study, suggestions
from tracking import create_store

WANTED = 5


@pytest.fixture
def store(request, tmp_path, monkeypatch):
    if getattr(request, "param", "folder") == "folder":
        return create_store(tmp_path / "store")
    monkeypatch.setattr(object_journal, "_PART_BYTES", 2000)
    return create_store(request.getfixturevalue("s3_store"))


@pytest.fixture
def begun(store):
    """Three trials of five: one that Optuna knows to have finished, one that collapsed and whose
    driver died before it told Optuna, one that was interrupted.
    """
    queue = suggestions(store, WANTED)
    keys = [queue.next() for _ in range(3)]
    end(store, keys[0], loss=0.25)
    queue.ended(keys[0])
    end(store, keys[1], "collapsed")
    end(store, keys[2], status=None)
    return keys


def parts(store):
    """The files of the journal, in order."""
    place = store.root / "optuna" / "s.journal"
    return [place] if place.is_file() else sorted(place.glob("*.jsonl"), key=lambda each: each.name)


def lines_of(store) -> list[bytes]:
    return b"".join(part.read_bytes() for part in parts(store)).splitlines(keepends=True)


def lines(number, change):
    """A damage that changes one line of the journal; counted from behind if negative."""

    def damage(store):
        found = lines_of(store)
        number_of = number if number >= 0 else len(found) + number
        for part in parts(store):
            own = part.read_bytes().splitlines(keepends=True)
            if 0 <= number_of < len(own):
                own[number_of] = change(own[number_of])
                part.write_bytes(b"".join(own))
                return
            number_of -= len(own)

    return damage


DAMAGES = {
    "half a line at the end": lines(-1, lambda line: line[: len(line) // 2]),
    "no newline at the end": lines(-1, lambda line: line[:-1]),
    "NULs at the end": lines(-1, lambda line: line + b"\0" * 4096),
    "NULs in the middle": lines(9, lambda line: b"\0" * len(line)),
    "half a line in the middle": lines(9, lambda line: line[: len(line) // 2]),
    "no newline in the middle": lines(9, lambda line: line[:-1]),
    "no entry in the middle": lines(9, lambda line: b"[1, 2]\n"),
    "an entry without its fields": lines(9, lambda line: b'{"op_code": 4}\n'),
    "no text": lines(4, lambda line: b"\xff\xfe" + line),
    "its purpose lost": lines(1, lambda line: line[:20]),
    "nothing whole": lines(0, lambda line: line[1:]),
}


def places(damages, in_s3):
    """All damages to a file, some of them to objects too."""
    pairs = [*(("folder", damage) for damage in damages), *(("s3", damage) for damage in in_s3)]
    return pytest.mark.parametrize(("store", "damage"), pairs, indirect=["store"])


@places(DAMAGES, ["half a line at the end", "NULs in the middle", "nothing whole"])
def test_what_follows_the_last_whole_line_is_taken_from_the_store(store, begun, damage, caplog):
    DAMAGES[damage](store)
    before = b"".join(part.read_bytes() for part in parts(store))
    with caplog.at_level(logging.WARNING, "studies"):
        goes_on_to_its_end(store, begun)
    (said,) = (record.getMessage() for record in caplog.records if "damaged" in record.getMessage())
    assert "s.journal" in said
    folder = parts(store)[0].parent
    asides = sorted(folder.glob("*.aside-1"), key=lambda each: each.name)
    assert asides
    assert all(aside.name in said for aside in asides)
    assert before.endswith(b"".join(aside.read_bytes() for aside in asides))


def line_lost(store):
    lines(9, lambda line: b"")(store)


def line_doubled(store):
    lines(2, lambda line: line + line)(store)


def value_changed(store):
    def change(line):
        assert b'"param_value_internal":' in line.replace(b" ", b"")
        return (
            line.replace(b"internal", b"internal", 1)
            .replace(b"0.00", b"0.01")
            .replace(b"e-05", b"e-04")
        )

    number = next(n for n, line in enumerate(lines_of(store)) if b"learning_rate" in line and n > 1)
    lines(number, change)(store)


def all_lost(store):
    for part in parts(store):
        part.unlink()


@places([line_lost, line_doubled, value_changed, all_lost], [all_lost])
def test_a_journal_that_reads_well_but_says_otherwise_is_not_believed(store, begun, damage):
    before = lines_of(store)
    damage(store)
    assert lines_of(store) != before
    goes_on_to_its_end(store, begun)


def goes_on_to_its_end(store, begun) -> None:
    finished, collapsed, interrupted = begun
    queue = suggestions(store, WANTED)
    assert queue.left == 3
    handed_out = []
    while key := queue.next():
        handed_out.append(key)
        end(store, key, loss=0.5)
        queue.ended(key)
    assert handed_out[0] == interrupted
    assert len({*handed_out, finished, collapsed}) == WANTED
    assert sorted(store.members("s")) == sorted({*handed_out, finished, collapsed})
    assert queue.left == 0
    told = {}
    for trial in optuna_study(store).trials:
        if key := trial.user_attrs.get(TRIAL_ID):
            told.setdefault(key, []).append((trial.state, trial.values))
    assert set(told) == set(store.members("s"))
    assert (TrialState.COMPLETE, [-0.25]) in told[finished]
    assert told[collapsed][-1] == (TrialState.PRUNED, None)
    assert told[interrupted][-1] == (TrialState.COMPLETE, [-0.5])
    again = suggestions(store, WANTED)
    assert again.left == 0
    assert again.next() is None


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_missing_part_of_a_journal_takes_those_after_it_along(begun, store):
    parts(store)[1].unlink()
    goes_on_to_its_end(store, begun)


def test_a_trial_whose_status_was_lost_runs_again(store, begun):
    (store.trial(begun[0]).folder / "status.json").unlink()
    (store.trial(begun[0]).folder / "dynamics.parquet").unlink()
    queue = suggestions(store, WANTED)
    assert queue.left == 4
    assert {queue.next(), queue.next()} == {begun[0], begun[2]}
    end(store, begun[0], loss=0.25)
    queue.ended(begun[0])
    assert queue.left == 3


def test_a_trial_that_the_plan_has_lost_is_planned_again(store, begun):
    (store.root / "studies" / "s.json").unlink()
    assert suggestions(store, WANTED).left == 3
    assert sorted(store.members("s")) == sorted(begun)


def test_a_lock_of_a_driver_that_was_killed_is_not_waited_for(tmp_path):
    path = tmp_path / "moved" / "s.journal"
    path.parent.mkdir()
    path.with_name("s.journal.lock").symlink_to(tmp_path / "where it was" / "s.journal")
    given = {"purpose": PURPOSE, "objectives": 1, "sampler": "tpe", "seed": 0}
    study = open_study(open_storage(path), "s", **given)
    assert study.ask(SPACE).number == 0


def test_a_database_that_cannot_be_opened_is_one_line(tmp_path):
    (tmp_path / "garbage.db").write_bytes(b"no database" * 1000)
    for url in (f"sqlite:///{tmp_path}/garbage.db", f"sqlite:///{tmp_path}/none/new.db", "x://y"):
        with pytest.raises(InputError, match="which Optuna cannot open") as raised:
            open_storage(url)
        assert "\n" not in str(raised.value)
