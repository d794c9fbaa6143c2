"""The whole study as a user runs it: Ray, ledger, MLflow, table.

That no trial depends on its neighbours or its worker, and what faults do: ``tests/faults``, whose
studies run one trial after another and are compared with this one, which runs two at once.
"""

import shutil

import pyarrow.parquet as pq
import pytest

from nsa_core import scorers
from studies.batchsize_ablation import STUDY
from studies.cli import main
from tests.studies.conftest import TOY
from tracking import create_store, open_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri


def test_every_cell_is_run_once_and_recorded(undisturbed):
    path, done = undisturbed
    store = open_store(path)
    trials = store.trials().to_pylist()
    cells = {(row["norm"], row["batch_size"]) for row in trials}
    assert len(trials) == len(cells) == 8
    assert cells == {(norm, batch) for norm in ("none", "f", "g", "both") for batch in (16, 64)}
    assert {row["status"] for row in trials} == {"finished"}
    assert {row["epochs"] for row in trials} == {4}
    assert store.dynamics().num_rows == 8 * 3  # epochs 1, 2 and 4
    every, last = len(scorers.available()) - len(scorers.SLOW), len(scorers.SLOW)
    assert store.scores().num_rows == 8 * (3 * every + last)  # of the embedding
    assert "8 trials: 0 done before, 8 to run" in done.stdout


def test_the_table_holds_the_means_of_the_store(undisturbed):
    path, done = undisturbed
    answer = open_store(path).sql(
        "select norm, batch_size, avg(auroc) as auroc from scores join trials using (trial_id) "
        "where scorer = 'c-cos' and layer = 'embedding' and epoch = 4 group by norm, batch_size"
    )
    for row in answer.to_pylist():
        assert f"{100 * row['auroc']:.1f}" in done.stdout
    assert "c-cos" in done.stdout
    assert (path / "report" / "batchsize_ablation.html").is_file()


def test_it_says_where_to_look_and_that_is_there(undisturbed):
    path, done = undisturbed
    store = open_store(path)
    assert f"Parquet  {path}/parquet/" in done.stdout
    summary = pq.read_table(path / "parquet" / "scores.parquet")
    assert summary.replace_schema_metadata(None) == store.scores()
    uri = tracking_uri(store)
    assert f"mlflow ui --host 127.0.0.1 --backend-store-uri {uri}" in done.stdout
    mirror = MlflowMirror(store, "batchsize_ablation", uri)
    found = mirror.client.search_runs([mirror.experiment])
    assert len(found) == 9  # eight trials and their parent
    assert {run.info.status for run in found} == {"FINISHED"}
    by_trial = {run.data.tags["nsa.trial_id"]: run for run in found}
    for row in store.scores().to_pylist():
        if row["epoch"] == 4:
            layer = "" if row["layer"] == "embedding" else f"{row['layer']}/"
            metric = by_trial[row["trial_id"]].data.metrics[f"auroc/{layer}{row['scorer']}"]
            assert metric == row["auroc"]


def test_running_it_again_trains_nothing(undisturbed, tmp_path, capsys):
    path = tmp_path / "store"
    shutil.copytree(undisturbed[0], path, symlinks=True)
    before = {file: file.stat().st_mtime_ns for file in (path / "trials").rglob("*.parquet")}
    assert main(STUDY, [*TOY, "--store", str(path)]) == 0
    assert "8 done before, 0 to run" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_store_that_another_run_is_writing_is_refused(tmp_path, capsys):
    with create_store(tmp_path / "store").writing("another study"):
        assert main(STUDY, [*TOY, "--store", str(tmp_path / "store")]) == 2
    assert "is being written by another study, process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "quik"], "unknown preset 'quik'; did you mean 'quick'?"),
        (["--dataset", "digit"], "unknown data set 'digit'; did you mean 'digits'?"),
        (["--dataset", "gone.parquet"], "'gone.parquet' does not exist"),
        (["--data-root", "no/such/folder"], "data folder 'no/such/folder' does not exist"),
        (["--classes", "3,11"], "class 11 is out of range"),
        (["--classes", "cat"], "unknown class 'cat'"),
        (["--set", "method=simsam"], "unknown method 'simsam'; did you mean 'simsiam'?"),
        (["--set", "norm=f"], "'norm' is an axis of batchsize_ablation"),
        (["--set", "widht=3"], "unknown configuration key 'widht'; did you mean 'width'?"),
        (["--set", "width"], "need KEY=VALUE"),
        (["--set", "pollution=0.7"], "pollution is 0.7; need a share in [0, 0.5]"),
        (["--set", "pollution=-0.1"], "pollution is -0.1; need a share in [0, 0.5]"),
        (["--set", "precision=fp8"], "unknown precision 'fp8'"),
        (["--set", 'method_options={"projectr_dim":3}'], "unknown option of simsiam"),
        (["--gpus-per-trial", "1.5"], "gpus per trial is 1.5; above 1 it must be whole"),
        (["--cpus-per-trial", "0"], "cpus per trial is 0"),
        (["--cpus-per-trial", "64"], "a trial wants 64 CPU cores and no host has more than"),
        (["--gpus-per-trial", "0.5"], "a trial wants 0.5 GPU and no host has more than 0"),
        (["--epochs", "0"], "budget is 0; need a whole number of at least 1"),
        (["--seeds", "0"], "--seeds is 0; need at least 1"),
        (["--retries", "-1"], "--retries is -1; need at least 0"),
        (["--address", "127.0.0.1:1"], "no Ray cluster at '127.0.0.1:1'"),
    ],
)
def test_bad_input_is_one_clear_error_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert main(STUDY, [*TOY, "--store", str(tmp_path / "store"), *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("error: ") == 1
    assert not (tmp_path / "store").exists()


def test_a_batch_larger_than_the_class_is_refused_before_anything_runs(tmp_path, capsys):
    small = ["--preset", "small", "--dataset", "digits", "--store", str(tmp_path / "store")]
    assert main(STUDY, small) == 2
    assert "batch_size 512 is larger than the 1" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
