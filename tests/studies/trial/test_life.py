"""What a trial notes of the scores that it records."""

import pyarrow.parquet as pq
import pytest
import torch

from nsa_core.training import score_versions
from studies.plan.options import parser
from studies.plan.work import GridWork
from studies.trial.life import run_trial
from tests.studies.conftest import TOY
from tests.studies.normals import write_normals
from tests.studies.toy import STUDY
from tracking import TrialRecord, create_store


@pytest.fixture
def record(tmp_path):
    """A trial that is planned and has not begun."""
    store = create_store(tmp_path / "store")
    work = GridWork(STUDY, parser(STUDY).parse_args([*TOY, "--store", str(store.root)]))
    work.begin(store)
    return store.trial(next(iter(work.trial_ids(store))))


def live(record) -> None:
    for _ in run_trial(record, None, torch.device("cpu")):
        pass


def test_a_trial_notes_the_versions_of_its_scores_and_its_configuration_knows_none(record):
    live(record)
    noted = record.state()["score_versions"]
    assert noted == score_versions()
    assert noted["k-cos"] == 2
    assert noted["kde"] == 1
    assert set(record.scores()["scorer"].to_pylist()) <= set(noted)
    assert "score_versions" not in str(record.definition())


@pytest.mark.parametrize("before", [None, {"c-cos": 2, "k-cos": 1, "kde": 1}])
def test_epochs_of_two_versions_have_none(record, before):
    """The first attempt was made by another program, which noted other versions or none."""
    evaluations = run_trial(record, None, torch.device("cpu"))
    next(evaluations)
    evaluations.close()
    state = record.state()
    del state["score_versions"]
    record.write_artifact("status", state | ({"score_versions": before} if before else {}))
    live(record)
    assert record.state()["status"] == "finished"
    assert record.state()["score_versions"] == ({"c-cos": 2, "kde": 1} if before else {})


def test_a_trial_that_could_not_be_compiled_says_so_and_has_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("nsa_core.training.compilation.BACKEND", "a compiler that is not there")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    losses, pulses = {}, []
    for choice in ("on", "off"):
        store = create_store(tmp_path / choice)
        options = [*TOY, "--store", str(store.root), "--compile", choice]
        work = GridWork(STUDY, parser(STUDY).parse_args(options))
        work.begin(store)
        record = store.trial(next(iter(work.trial_ids(store))))
        for _ in run_trial(record, None, torch.device("cpu"), pulses.append):
            pass
        losses[choice] = record.dynamics()["loss"].to_pylist()
        told = record.state().get("not_compiled")
        assert told is None if choice == "off" else "a compiler that is not there" in told
        assert set(store.trials()["compile"].to_pylist()) == {choice == "on"}
    assert losses["on"] == losses["off"]
    assert [pulse.compiling for pulse in pulses[:3]] == [True, False, False]


def test_an_attempt_that_recorded_nothing_leaves_no_unknown_version(record):
    record.begin({})
    record.end("failed", "the disk was full")
    live(record)
    assert record.state()["score_versions"] == score_versions()


def test_a_trial_on_test_images_of_one_class_says_what_it_lacks_and_keeps_their_scores(tmp_path):
    store = create_store(tmp_path / "store")
    given = ["--dataset", str(write_normals(tmp_path, tested=True)), "--classes", "good"]
    options = [*TOY, *given, "--epochs", "1", "--store", str(store.root)]
    work = GridWork(STUDY, parser(STUDY).parse_args(options))
    work.begin(store)
    record = store.trial(next(iter(work.trial_ids(store))))
    live(record)
    state = record.state()
    assert (state["status"], state["test_images"]) == ("finished", 54)
    assert state["absent"] == work.absent
    assert "all 54 test images are of one class" in work.absent
    assert record.scores().num_rows == 0
    assert pq.read_table(record.folder / "test_scores.parquet").num_rows == 54
    assert set(pq.read_table(record.folder / "extremes.parquet")["kind"].to_pylist()) == {
        "false alarm"
    }
    (row,) = record.dynamics().to_pylist()
    assert row["kappa_test_normal"] > 0
    assert row["kappa_test_outlier"] is None


def test_what_the_last_evaluation_measured_outlives_an_interruption_before_the_end(
    record, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(TrialRecord, "end", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            live(record)
    assert record.checkpoint.exists()
    assert record.state()["status"] == "running"
    live(record)
    state = record.state()
    assert (state["status"], state["attempts"], state["passes"]) == ("finished", 2, 1)
