"""What a trial is and how it stands is of the right types, or one line for every reader."""

import pytest

from tests.tracking.report.conftest import configurations, run
from tracking import create_store, mlflow_sync
from tracking.compaction import main as compact
from tracking.errors import DamagedFileError
from tracking.query import main as query
from tracking.report.__main__ import main as report
from tracking.tables.checked import checked_definition

READERS = {
    "query": lambda store: query([str(store.root), "from trials"]),
    "compact": lambda store: compact([str(store.root)]),
    "report": lambda store: report([str(store.root)]),
    "sync": lambda store: mlflow_sync.main([str(store.root)]),
}


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


def trial(store, config=(), state=()):
    """The record of a finished trial, alone in its study; None takes a value away."""
    config = changed(configurations()[0], config)
    record = store.trial(run(store, config))
    record.write_artifact("status", changed(record.state(), state))
    store.plan("table3", [record.trial_id])
    return record


def changed(values, by):
    return {name: value for name, value in (values | dict(by)).items() if value is not None}


CONFIGS = [
    ({"method": None}, "no 'method'"),
    ({"batch_size": "many"}, "'batch_size' is 'many', need int64"),
    ({"method": {"a": 1}}, "'method' is {'a': 1}, need string"),
]
STATES = [
    ({"started_at": None}, "no 'started_at'"),
    ({"ended_at": None}, "no 'ended_at'"),
    ({"started_at": "infinity"}, "'started_at' is 'infinity', need timestamp"),
    ({"ended_at": 9e99}, "'ended_at' is 9e+99, need timestamp"),
    ({"peak_memory_mb": "much"}, "'peak_memory_mb' is 'much', need double"),
]


@pytest.mark.parametrize(
    ("config", "state", "message"),
    [*((c, {}, m) for c, m in CONFIGS), *(({}, s, m) for s, m in STATES)],
)
def test_what_is_lacking_or_of_another_type_is_named(store, config, state, message):
    record = trial(store, config, state)
    with pytest.raises(DamagedFileError) as error:
        checked_definition(record, record.state())
    assert message in str(error.value)
    assert f"{'config' if config else 'status'}.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["config", "status"])
def test_every_reader_says_it_in_one_line(store, reader, name, capsys):
    if name == "config":
        record = trial(store, config={"batch_size": "many"})
    else:
        record = trial(store, state={"started_at": "infinity"})
    assert READERS[reader](store) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {record.folder / name}.json")


def test_a_trial_that_has_not_begun_needs_no_times(store):
    record = trial(store, state={"status": "pending", "started_at": None, "ended_at": None})
    assert checked_definition(record, record.state())["config"]["norm"] == "none"
