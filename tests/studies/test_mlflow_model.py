"""A trial's detector in MLflow: it loads without this project and scores and flags the same."""

import json
import shutil
import threading
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import uvicorn
from mlflow.pyfunc import scoring_server

from nsa_core import InputError, TrialConfig, load_images
from nsa_core.scorers import CCos
from nsa_core.training import build_method, embed
from studies.mlflow_model import best_trials, log_best, main
from studies.trial.data import split_of
from tests.studies.conftest import wait_for
from tests.tracking.mlflow_lab import runs_of
from tracking import StoreError, open_store
from tracking.mlflow.place import tracking_uri

STUDY = "batchsize_ablation"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(undisturbed, tmp_path_factory):
    """A copy of the toy study, whose own MLflow knows nothing of it yet."""
    folder = tmp_path_factory.mktemp("models") / "store"
    shutil.copytree(undisturbed[0], folder, ignore=shutil.ignore_patterns("mlflow*"))
    return open_store(folder)


@pytest.fixture(scope="module")
def models(store):
    return log_best(store, STUDY, tracking_uri(store), count=2)


@pytest.fixture
def tracked(store, models):
    uri, before = tracking_uri(store), mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)  # MLflow sets it, and would leave it
        mlflow.set_tracking_uri(uri)
        yield models
        mlflow.set_tracking_uri(before)


def test_the_best_are_those_of_the_headline_at_the_last_epoch(store):
    wanted = store.sql(
        "select trial_id from scores join trials using (trial_id) where status = 'finished' "
        "and scorer = 'k-cos' and layer = 'embedding' and epoch = epochs order by auroc desc"
    ).to_pylist()
    found = best_trials(store, STUDY, "k-cos")
    assert [record.trial_id for record in found] == [row["trial_id"] for row in wanted]


def wanted_of(record, images):
    """Scores of images by torch and the scorer, and the threshold that a few lines find."""
    split = split_of(TrialConfig.from_dict(record.definition()["config"]), None)
    method = build_method(TrialConfig.from_dict(record.definition()["config"]))
    method.load_state_dict(torch.load(record.checkpoint, weights_only=True)["method"])
    embedded = [embed(method, each, CPU)["embedding"] for each in (split.train_images, images)]
    scorer = CCos().fit(embedded[0])
    left_out = np.sort(scorer.leave_one_out())
    allowed = int(0.05 * (len(left_out) + 1))
    return scorer.score(embedded[1]), left_out[-allowed]


def test_a_loaded_model_scores_and_flags_as_the_trained_method(store, tracked, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    images = load_images("digits", "test").images[:33]
    for record, model in zip(best_trials(store, STUDY, "c-cos")[:2], tracked, strict=True):
        scores, threshold = wanted_of(record, images)
        found = mlflow.pyfunc.load_model(model).predict(images)
        assert found["score"].dtype == np.float64
        np.testing.assert_allclose(found["score"], scores, rtol=1e-4)
        assert (found["flagged"] == (scores > threshold)).all()
        assert 0 < found["flagged"].sum() < 33  # so that the comparison says something


def test_mlflows_server_gives_scores_and_flags_over_http(tracked):
    images = load_images("digits", "test").images[:5]
    loaded = mlflow.pyfunc.load_model(tracked[0])
    server = uvicorn.Server(uvicorn.Config(scoring_server.init(loaded), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, "the server to start")
        port = server.servers[0].sockets[0].getsockname()[1]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": images.tolist()}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)["predictions"]
    finally:
        server.should_exit = True
        thread.join(60)
    wanted = loaded.predict(images)
    assert found == {name: values.tolist() for name, values in wanted.items()}


def test_it_has_a_signature_an_example_and_requirements(store, tracked):
    loaded = mlflow.pyfunc.load_model(tracked[0])
    (images,), outputs = (
        part.inputs
        for part in (loaded.metadata.signature.inputs, loaded.metadata.signature.outputs)
    )
    assert (images.shape, images.type) == ((-1, 1, 16, 16), np.uint8)
    assert [(each.name, each.shape, each.type) for each in outputs] == [
        ("score", (-1,), np.float64),
        ("flagged", (-1,), np.bool_),
    ]
    example = loaded.input_example
    assert example.shape == (2, 1, 16, 16)
    assert loaded.predict(example.astype(np.uint8))["score"].shape == (2,)
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        loaded.predict(np.zeros((2, 3, 16, 16), np.uint8))
    best = best_trials(store, STUDY, "c-cos")[0]
    assert loaded.metadata.metadata == {
        "trial": best.trial_id,
        "layer": "embedding",
        "scorer": "c-cos",
        "false_alarm_rate": 0.05,
        "calibrated_by": "training images, left out",
    }
    lines = Path(mlflow.pyfunc.get_model_dependencies(tracked[0])).read_text().split()
    packages = {line.partition("==")[0] for line in lines}
    assert packages == {"mlflow", "numpy", "onnx", "onnxruntime"}


def test_it_belongs_to_the_run_of_its_trial_and_comes_once(store, tracked):
    uri = tracking_uri(store)
    before = runs_of(uri, STUDY)
    assert log_best(store, STUDY, uri, count=2) == tracked
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(STUDY).experiment_id
    known = {each.model_uri: each for each in client.search_logged_models([experiment])}
    assert known.keys() == set(tracked)
    for record, model in zip(best_trials(store, STUDY, "c-cos")[:2], tracked, strict=True):
        run = runs_of(uri, STUDY)[record.trial_id]
        assert known[model].source_run_id == run.info.run_id
        assert run.outputs.model_outputs[0].model_id == known[model].model_id
        assert run.data.tags["nsa.detector.c-cos"] == model
        assert run.info.end_time == before[record.trial_id].info.end_time  # it has not run again
        assert run.info.status == "FINISHED"


def test_the_command_says_where_the_models_are(store, tracked, capsys):
    assert main([str(store.root), "--study", STUDY, "--count", "2"]) == 0
    assert capsys.readouterr().out.split() == [
        f"{STUDY}:", tracked[0], f"{STUDY}:", tracked[1]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "--count is 0; need at least 1"),
        (["--headline", "nope"], "no finished trial with a score 'nope'"),
        (["--study", "nope"], "study 'nope': no finished trial"),
    ],
)
def test_bad_input_is_named(store, capsys, arguments, message):
    assert main([str(store.root), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_checkpoint_that_is_gone_or_of_another_trial_is_named(store, tmp_path):
    copied = tmp_path / "store"
    shutil.copytree(store.root, copied, ignore=shutil.ignore_patterns("mlflow*"))
    other = open_store(copied)
    best, second = best_trials(other, STUDY, "c-cos")[:2]
    uri = f"sqlite:///{tmp_path}/other.db"
    shutil.copy(second.checkpoint, best.checkpoint)
    with pytest.raises(InputError, match="belongs to another config"):
        log_best(other, STUDY, uri)
    best.checkpoint.unlink()
    with pytest.raises(InputError, match=r"checkpoint\.pt does not exist"):
        log_best(other, STUDY, uri)
    with pytest.raises(StoreError, match="no finished trial"):
        log_best(other, "no_such_study", uri)
