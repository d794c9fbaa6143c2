"""The benchmark of queries at toy size, and the store that it makes up."""

import json

import pytest

from benchmarks.generated_store import ODD_ENDS, generate
from nsa_core import TrialConfig
from tests.benchmarks.test_scripts import run


def test_every_question_is_asked_before_and_after_compaction(tmp_path):
    output = tmp_path / "queries.md"
    sizes = ("--trials", "12", "--epochs", "3", "--layers", "1", "--scorers", "1")
    run("queries.py", *sizes, "--rounds", "1", "--output", str(output))
    text = output.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "?" in line]
    assert [row.split(".")[0] for row in rows] == [f"| {number}" for number in range(1, 11)]
    # seven trials of three epochs, and four odd ends of one
    assert "12 trials, 25 rows of dynamics, 25 of scores, written in" in text
    for moment in ("before", "after"):
        assert f"- {moment} compaction, below" in text


@pytest.mark.parametrize("trials", [10, 12, 96])
def test_a_generated_store_has_what_was_asked_for(tmp_path, trials):
    store = generate(tmp_path / "store", trials=trials, epochs=3, layers=2, scorers=2)
    rows = store.trials().to_pylist()
    assert len(rows) == trials
    status = [row["status"] for row in rows]
    assert sorted(set(status) - {"finished"}) == sorted(ODD_ENDS)
    assert status.count("finished") == trials - len(ODD_ENDS)
    finished = store.sql("from scores join trials using (trial_id) where status = 'finished'")
    assert finished.num_rows == status.count("finished") * 3 * 2 * 2
    for trial_id in store.members("generated"):
        path = store.trial(trial_id).folder / "config.json"
        TrialConfig.from_dict(json.loads(path.read_text())["config"])
    assert store.about("generated")["headline"] == "c-cos"
