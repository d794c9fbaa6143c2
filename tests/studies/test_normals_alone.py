"""A whole study on a file of normal training images, and nothing else."""

import pyarrow.compute as pc
import pytest

from studies.mlflow_model import best_trials
from studies.trial.detector import trained_detector
from tests.studies.forked import start_toy
from tests.studies.normals import write_normals
from tracking import open_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri

ABSENT = "no test outliers (the data set has no test split): AUROC, AUPRC and FPR95 are absent"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Its store, and what it printed."""
    folder = tmp_path_factory.mktemp("normals")
    given = ["--dataset", str(write_normals(folder)), "--classes", "good", "--epochs", "2"]
    run = start_toy(folder / "store", *given, "--set", "evaluations=2", "--concurrency", "2")
    code = run.wait(600)
    said = (folder / "store.out").read_text()
    assert code == 0, said + (folder / "store.err").read_text()
    return open_store(folder / "store"), said


def test_it_says_at_the_start_and_at_the_end_what_is_absent(study):
    _, said = study
    first, report = said.split("4 trials: 0 done before")
    assert first.count(ABSENT) == 1
    assert "its report shows kappa and other training signals" in first
    assert f"{ABSENT[1:]}." in report
    assert "kappa" in report
    assert "nan" not in report


def test_trials_have_signals_and_no_number_of_a_test_split(study):
    store, _ = study
    trials = store.trials().to_pylist()
    assert [row["status"] for row in trials] == ["finished"] * 4
    assert {row["test_images"] for row in trials} == {0}
    assert {row["class_name"] for row in trials} == {"good"}
    dynamics = store.dynamics()
    assert dynamics.num_rows == 8
    for name in dynamics.column_names:
        null = "_test_" in name or name.endswith("_probe") or name == "held_out_auroc"
        assert dynamics[name].null_count == (8 if null else 0), name
    assert pc.min(dynamics["kappa_train"]).as_py() > 0
    found = store.sql("select auroc from trials left join scores using (trial_id)")
    assert found["auroc"].to_pylist() == [None] * 4


def test_the_most_compact_trial_becomes_a_model(study):
    store, _ = study
    last = store.sql("select trial_id from dynamics where epoch = 2 order by kappa_train desc")
    best = best_trials(store, "batchsize_ablation", "c-cos")
    assert [record.trial_id for record in best] == last["trial_id"].to_pylist()
    detector = trained_detector(best[0], "c-cos", None)
    assert detector.about["trial"] == best[0].trial_id
    assert detector.examples.shape == (2, 1, 16, 16)


def test_page_and_mlflow_say_it_too(study):
    store, _ = study
    page = (store.root / "report" / "batchsize_ablation.html").read_text()
    assert ABSENT[1:] in page
    assert "Training signals" in page
    assert (store.root / "batchsize_ablation.png").is_file()
    mirror = MlflowMirror(store, "batchsize_ablation", tracking_uri(store))
    trials = [store.trial(key) for key in store.members("batchsize_ablation")]
    for run in (mirror.client.get_run(str(mirror.run_of(trial))) for trial in trials):
        assert run.data.tags["nsa.absent"] == ABSENT
        assert run.data.metrics["signal/kappa_train"] > 0
        assert not [name for name in run.data.metrics if name.startswith(("auroc", "other"))]
