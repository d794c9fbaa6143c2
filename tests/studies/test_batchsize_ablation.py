"""The whole study as a user runs it: Ray, ledger, MLflow, table; faults included."""

import os
import re
import signal
import subprocess

import pyarrow.parquet as pq
import pytest

from nsa_core import scorers
from studies.batchsize_ablation import STUDY
from studies.cli import main
from tests.studies.conftest import (
    ROOT,
    TOY,
    rows,
    run_study,
    study_command,
    wait_for,
    workers,
)
from tracking import open_store
from tracking.mlflow_mirror import MlflowMirror
from tracking.store import default_tracking_uri


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
    assert store.scores().num_rows == 8 * 3 * len(scorers.available())  # of the embedding
    assert "8 trials: 0 done before, 8 to run" in done.stdout


def test_the_table_holds_the_means_of_the_store(undisturbed):
    path, done = undisturbed
    answer = open_store(path).sql(
        "select norm, batch_size, avg(auroc) as auroc from scores join trials using (trial_id) "
        "where scorer = 'c-cos' and layer = 'embedding' and epoch = 4 group by norm, batch_size"
    )
    for row in answer.to_pylist():
        cell = f"{100 * row['auroc']:.2f}"
        assert re.search(rf"^\| {row['norm']} .*{re.escape(cell)}", done.stdout, re.MULTILINE)
    assert "Headline score: **c-cos**" in done.stdout
    assert (path / "batchsize_ablation.md").read_text() in done.stdout
    assert (path / "batchsize_ablation.png").read_bytes().startswith(b"\x89PNG")


def test_it_says_where_to_look_and_that_is_there(undisturbed):
    path, done = undisturbed
    store = open_store(path)
    assert f"Parquet  {path}/parquet/" in done.stdout
    summary = pq.read_table(path / "parquet" / "scores.parquet")
    assert summary.replace_schema_metadata(None) == store.scores()
    uri = default_tracking_uri(store)
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


def test_running_it_again_trains_nothing(undisturbed):
    path, _ = undisturbed
    before = {file: file.stat().st_mtime_ns for file in (path / "trials").rglob("*.parquet")}
    again = run_study(path)
    assert again.returncode == 0
    assert "8 done before, 0 to run" in again.stdout
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_trial_does_not_depend_on_its_neighbours_or_its_worker(undisturbed, tmp_path):
    path, _ = undisturbed
    alone = run_study(tmp_path / "store", "--concurrency", "1")  # one worker, one after another
    assert alone.returncode == 0, alone.stderr
    assert_same(tmp_path / "store", path)


def test_killed_worker_and_killed_driver_change_nothing(undisturbed, tmp_path):
    path, _ = undisturbed
    store_path = tmp_path / "store"
    driver = start(store_path)
    worker = wait_for(lambda: worker_in_training(driver, store_path), "a worker in training")
    worker.kill()
    wait_for(lambda: ended(store_path) >= 2, "two trials to end")
    wait_for(lambda: worker_in_training(driver, store_path), "a worker in training")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert ended(store_path) < 8
    assert (store_path / "writer.lock").exists()
    final = run_study(store_path)
    assert final.returncode == 0, final.stderr
    assert re.search(r"8 trials: [2-7] done before", final.stdout)
    assert_same(store_path, path)


def test_a_worker_that_always_dies_is_named_and_the_rest_goes_on(tmp_path):
    store_path = tmp_path / "store"
    driver = start(store_path, "--retries", "0")
    worker = wait_for(lambda: worker_in_training(driver, store_path), "a worker in training")
    worker.kill()
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 1
    assert "- failed: simsiam norm" in output
    assert "its worker died 1 time" in output
    status = [row["status"] for row in open_store(store_path).trials().to_pylist()]
    assert sorted(status) == ["failed"] + ["finished"] * 7
    again = run_study(store_path, "--retry-failed")
    assert "7 done before, 1 to run" in again.stdout
    assert again.returncode == 0


def test_diverged_trials_are_named_and_not_averaged(tmp_path):
    done = run_study(tmp_path / "nan", "--set", "learning_rate=1e30")
    assert done.stdout.count("- diverged: simsiam norm") == 8
    assert "loss became nan by epoch" in done.stdout
    assert "No trial has finished yet" in done.stdout
    assert done.returncode == 1


def test_collapsed_trials_are_named_and_not_averaged(tmp_path):
    arguments = ("--epochs", "40", "--set", "evaluations=1", "--set", "learning_rate=0.1")
    done = run_study(tmp_path / "store", *arguments, "--set", "weight_decay=100")
    assert done.stdout.count("- collapsed: simsiam norm") == 8
    assert re.search(r"- collapsed: .*: spread of embeddings .*, of projections ", done.stdout)
    assert "No trial has finished yet" in done.stdout
    assert done.returncode == 0
    status = {row["status"] for row in open_store(tmp_path / "store").trials().to_pylist()}
    assert status == {"collapsed"}
    again = run_study(tmp_path / "store", *arguments, "--set", "weight_decay=100")
    assert "8 done before, 0 to run" in again.stdout


def test_a_store_that_another_run_is_writing_is_refused(undisturbed):
    path, _ = undisturbed
    with open_store(path).writing("another study"):
        refused = run_study(path)
    assert refused.returncode == 2
    assert "is being written by another study, process" in refused.stderr


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


def test_dry_run_prints_the_grid_and_writes_nothing(tmp_path, capsys):
    assert main(STUDY, [*TOY, "--store", str(tmp_path / "store"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "batchsize_ablation: 8 trials on digits" in shown
    assert re.search(r"batch_size +16, 64", shown)
    assert not (tmp_path / "store").exists()


def start(store_path, *more):
    return subprocess.Popen(
        study_command(store_path, *more),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def worker_in_training(driver, store_path):
    """A worker process of the driver's Ray, once a trial that runs has recorded an epoch."""
    running = [
        status.parent
        for status in (store_path / "trials").glob("*/status.json")
        if '"running"' in status.read_text()
    ]
    if not any((folder / "dynamics.parquet").exists() for folder in running):
        return None
    return next(iter(workers(driver)), None)


def ended(store_path) -> int:
    return sum(
        '"running"' not in status.read_text()
        for status in (store_path / "trials").glob("*/status.json")
    )


def assert_same(store_path, reference_path):
    ours, theirs = open_store(store_path), open_store(reference_path)
    for name in ("trials", "dynamics", "scores"):
        assert rows(getattr(ours, name)()) == rows(getattr(theirs, name)())
