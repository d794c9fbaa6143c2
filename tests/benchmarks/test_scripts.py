"""The other benchmarks at toy size: they run, and their reports hold what they should."""

import subprocess
import sys
from pathlib import Path

import torch

from nsa_core import TrialConfig, load_images
from studies.runner import trial_id
from studies.trial import run_trial
from tracking import create_store

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_scores_compares_with_the_bare_product_and_names_absent_peers(tmp_path):
    output = tmp_path / "scores.md"
    sizes = ("--test", "600", "--train", "300", "--dim", "16", "--rounds", "2")
    run("scores.py", *sizes, "--scores", "2000", "--output", str(output))
    text = output.read_text()
    for row in ("bare matrix product", "nsa_core k-cos", "scikit-learn brute", "nsa_core auroc"):
        assert f"| {row}" in text
    for peer in ("pytorch_ood", "pyod", "torchmetrics"):
        assert peer in text or peer.replace("_", "-") in text


def test_evaluation_cost_times_every_part_of_both_methods(tmp_path):
    output = tmp_path / "cost.md"
    sizes = ("--width", "8", "--batch", "16", "--train", "64", "--test", "80", "--labelled", "50")
    run("evaluation_cost.py", *sizes, "--rounds", "1", "--output", str(output))
    text = output.read_text()
    for method in ("simsiam", "simclr"):
        for part in ("embed train images", "signals", "scores", "probes"):
            assert any(method in line and part in line for line in text.splitlines())


def test_open_questions_scores_the_checkpoints_of_a_store(tmp_path):
    store = create_store(tmp_path / "store")
    config = TrialConfig(
        normal_class=3, batch_size=32, budget=1, evaluations=1, width=8, depth=10,
        layers=("embedding",), method_options={"projector_dim": 16, "predictor_dim": 16},
    )  # fmt: skip
    prints = [load_images("digits", part).fingerprint for part in ("train", "test")]
    record = store.trial(trial_id(config, "+".join(prints)))
    record.folder.mkdir(parents=True)
    facts = {"class_name": "3", "data_fingerprint": "+".join(prints)}
    record.create(config.to_dict(), facts)
    store.plan("toy", [record.trial_id])
    list(run_trial(record, None, torch.device("cpu")))
    output = tmp_path / "questions.md"
    run("open_questions.py", str(store.root), "--output", str(output))
    text = output.read_text()
    assert "digits both p=0: 1" in text
    for question in ("Centred or not", "Covariance", "Ensemble", "Maps", "Neighbours"):
        assert f"## {question}" in text
    recorded = next(row["auroc"] for row in record.scores().to_pylist() if row["scorer"] == "c-cos")
    covariances = text[text.index("## Covariance: c-cos") :]
    row = next(line for line in covariances.splitlines() if "| ledoit-wolf" in line)
    assert f"{100 * recorded:.2f}" in row
