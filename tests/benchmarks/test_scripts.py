"""The other benchmarks at toy size: they run, and their reports hold what they should."""

import importlib.util
import runpy
import sys
from pathlib import Path

import pytest
import torch

from nsa_core import TrialConfig, load_images
from nsa_core.training import compilation
from studies.trial.life import run_trial
from tracking import create_store
from tracking.trial import trial_id

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *arguments: str) -> None:
    """As ``python benchmarks/NAME ...``, but what this process has imported is not so again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        patch.setattr(sys, "argv", [str(FOLDER / name), *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(sys.argv[0], run_name="__main__")
    assert not ended.value.code


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


def test_growth_sets_every_size_beside_the_smallest_and_reads_memory(tmp_path):
    output = tmp_path / "growth.md"
    sizes = ("--train", "64,128,256", "--scored", "128", "--test", "60", "--batch", "8")
    run("growth.py", *sizes, "--rounds", "2", "--evaluations", "12", "--output", str(output))
    lines = output.read_text().splitlines()
    for part in ("training, 8 steps", "embedding", "signals", "fast scores"):
        cells = next(line for line in lines if line.startswith(f"| {part}")).strip("|").split("|")
        assert "x 1.00" in cells[1]
        assert ("not measured" in cells[3]) == (part in ("signals", "fast scores"))
    memory = next(line for line in lines if line.startswith("| MB")).strip("|").split("|")[1:]
    assert len(memory) == 5
    assert all(float(cell.replace(",", "")) > 0 for cell in memory)


def test_packing_compares_trainings_of_one_process_with_processes(tmp_path):
    output = tmp_path / "packing.md"
    sizes = ("--device", "cpu", "--counts", "2", "--batch", "32", "--width", "8", "--depth", "10")
    run("packing.py", *sizes, "--steps", "2", "--seconds", "0", "--rounds", "1",
        "--output", str(output))  # fmt: skip
    text = output.read_text()
    assert "Packed trainings of digits have the bits of each alone." in text
    row = next(line for line in text.splitlines() if line.startswith("| 2 "))
    assert all(float(cell.replace(",", "")) > 0 for cell in row.strip("| ").split("|"))


def test_cpu_training_measures_every_part_and_says_how_to_have_an_absent_peer(
    tmp_path, monkeypatch
):
    """Its compiler is torch's up to the code that it would generate, which takes seconds."""
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # put back afterwards
    sizes = ("--cases", "8x4", "--rounds", "1", "--seconds", "0.01")
    run("cpu_training.py", *sizes, "--out", str(tmp_path))
    lines = (tmp_path / "cpu_training.md").read_text().splitlines()
    assert "## Width 8, batch 4" in lines
    for part in ("End to end", "The step alone"):
        row = next(index for index, line in enumerate(lines) if line.startswith(f"| {part}")) + 2
        name, rate = (cell.strip() for cell in lines[row].split("|")[1:3])
        assert name.startswith("ours")
        assert float(rate.replace(",", "")) > 0
    assert any(line.startswith("| bf16") for line in lines)
    assert any(line.startswith("| ours, with its views, compiled") for line in lines)
    (views,) = (line for line in lines if line.startswith("Views alone"))
    assert "ours, with its views, compiled: " in views
    if importlib.util.find_spec("lightly") is None:
        assert any("pip install --target DIR" in line for line in lines)


def test_open_questions_scores_the_checkpoints_of_a_store(tmp_path):
    store = create_store(tmp_path / "store")
    config = TrialConfig(
        normal_class=3, batch_size=32, budget=1, evaluations=1, width=8, depth=10,
        layers=("embedding",), method_options={"projector_dim": 16, "predictor_dim": 16},
    )  # fmt: skip
    prints = [load_images("digits", part).fingerprint for part in ("train", "test")]
    record = store.trial(trial_id(config.to_dict(), "+".join(prints)))
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


def test_damage_images_counts_how_images_end_at_every_door(tmp_path):
    output = tmp_path / "damage.md"
    run("damage_images.py", "--cases", "12", "--output", str(output))
    text = output.read_text()
    for door in ("decoder", "data set", "report and MLflow"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {door}: all"))
        _, cases, read, refused, others, _ = (each.strip() for each in row.strip("|").split("|"))
        assert (cases, others) == ("12", "0")
        assert int(read) + int(refused) == 12
