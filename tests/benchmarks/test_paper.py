"""The reproduction at toy size on real digits: interrupted, moved, continued, and told of."""

import ast
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nsa_core import TrialConfig, load_images, one_class_split, train
from tracking.trial import trial_id as tracking_id

FOLDER = Path(__file__).parents[2] / "benchmarks"
NEEDED = ("nsa_core", "numpy", "pyarrow", "scipy", "sklearn", "torch", "torchvision")
OUT_OF_TIME = "1e-9"


def write_digits(folder: Path, names: tuple[str, ...] = ("airplane", "automobile")) -> str:
    """Both splits of two digits in the place of CIFAR-10's first classes; the path to give."""
    folder.mkdir()
    for part, count in (("train", 40), ("test", 25)):
        digits = load_images("digits", part)
        rows = np.concatenate([np.flatnonzero(digits.labels == d)[:count] for d in (3, 8)])
        encoded = []
        for image in digits.images[rows, 0]:
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "PNG")
            encoded.append({"bytes": stream.getvalue()})
        labels = [0] * count + [1] * count
        schema = pa.schema(
            [("image", pa.struct([("bytes", pa.binary())])), ("label", pa.int64())],
            {"class_names": json.dumps({"label": names})},
        )
        table = pa.table({"image": encoded, "label": labels}, schema=schema)
        pq.write_table(table, folder / f"cifar10-{part}.parquet")
    return str(folder / "cifar10-{split}.parquet")


@pytest.fixture
def paper(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "cache"))
    plan, cost = (importlib.import_module(name) for name in ("paper_plan", "paper_cost"))
    sc = [arm for arm in plan.GROUPS[0] if arm.pollution == 0]
    monkeypatch.setattr(plan, "GROUPS", (tuple(sc),))
    monkeypatch.setattr(plan, "EVALUATIONS", 2)
    for module in (plan, cost):
        monkeypatch.setattr(module, "SEEDS", (0,))
    return importlib.import_module("paper")


@pytest.fixture
def run(paper, monkeypatch, tmp_path):
    def command(data: str, minutes: str, *more: str) -> int:
        out = ("--out", str(tmp_path / "out"), "--device", "cpu", "--toy")
        given = ["paper.py", "--data", data, "--minutes", minutes, *out, *more]
        monkeypatch.setattr(sys, "argv", given)
        return paper.main()

    return command


def models(folder: Path) -> dict[str, list[dict]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in folder.glob("*.parquet")}


def test_interrupted_models_go_on_wherever_the_data_lie_and_are_told_of(run, tmp_path):
    data, folder = write_digits(tmp_path / "here"), tmp_path / "out" / "paper"
    assert run(data, OUT_OF_TIME, "--epochs", "3") == 0
    ((first, rows),) = models(folder).items()
    assert {(row["epoch"], row["status"]) for row in rows} == {(1, "training")}
    assert (folder / f"{first}.pt").exists()
    assert " 0 of 500 |" in (tmp_path / "out" / "paper.md").read_text()

    (tmp_path / "here").rename(tmp_path / "there")
    data = data.replace("here", "there")
    assert run(data, OUT_OF_TIME, "--epochs", "3") == 0  # ends the model and begins no other
    ((again, rows),) = models(folder).items()
    assert again == first
    assert {(row["epoch"], row["status"]) for row in rows} == {(1, "finished"), (3, "finished")}
    assert not list(folder.glob("*.pt"))

    assert run(data, "5", "--epochs", "3", "--at-once", "2") == 0
    found = models(folder)
    assert {rows[0]["at_once"] for name, rows in found.items() if name != first} == {2}
    kinds = {(r["normal_class"], r["norm"]) for rows in found.values() for r in rows}
    assert kinds == {(0, "none"), (0, "f"), (1, "none"), (1, "f")}
    for rows in found.values():  # interrupted, or side by side with another
        check_equals_an_uninterrupted_training(rows, data)
    text = (tmp_path / "out" / "paper.md").read_text()
    mean = np.mean([auroc(rows, "c-cos") for rows in found.values() if rows[0]["norm"] == "f"])
    table = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    (cells,) = (each for each in table if each[1:5] == ["SC(n)", "0", "32", "3 of 500"])
    assert cells[5:8] == ["airplane, automobile", "2", "88.9"]
    assert cells[9] == f"{100 * mean:.1f}"
    assert cells[11].startswith("shorter; 2 classes in the data; ResNet-10 of width 8")
    assert "Left on" in text
    assert "Spent so far" in text

    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(data, "5", "--epochs", "2") == 0  # nothing that is there longer comes again
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def auroc(rows: list[dict], scorer: str) -> float:
    wanted = (3, "embedding", scorer)
    return next(r["auroc"] for r in rows if (r["epoch"], r["layer"], r["scorer"]) == wanted)


def check_equals_an_uninterrupted_training(rows: list[dict], data: str) -> None:
    config = importlib.import_module("paper_results").Trained(rows).config
    sets = [load_images(data, part) for part in ("train", "test")]
    evaluations = list(train(config, one_class_split(*sets, config.normal_class)))
    assert [each.epoch for each in evaluations] == sorted({row["epoch"] for row in rows})
    for each in evaluations:
        mine = {(r["layer"], r["scorer"]): r for r in rows if r["epoch"] == each.epoch}
        assert {name: row["auroc"] for name, row in mine.items()} == each.test.auroc
        assert {row["kappa"] for row in mine.values()} == {each.signals.embedding.kappa}


def test_the_list_has_the_papers_order_and_every_class_before_the_next_seed(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    plan = importlib.import_module("paper_plan")
    listed = list(plan.Plan("cifar10", (2, 5), "bf16").models())
    assert len(listed) == 3 * 2 * 20
    assert [config.seed for _, config in listed] == [0] * 40 + [1] * 40 + [2] * 40
    first = [(a.name, a.paper, c.pollution, c.normal_class) for a, c in listed[:5]]
    assert first == [
        ("SC", 86.3, 0.0, 2), ("SC(n)", 88.9, 0.0, 2), ("SC", 65.6, 0.1, 2),
        ("SC(n)", 79.8, 0.1, 2), ("SC", 86.3, 0.0, 5),
    ]  # fmt: skip
    for arm, config in listed:
        assert arm.of(config)
        assert config.budget == (500 if config.method == "simclr" else 4000)
        assert (config.width, config.depth, config.learning_rate) == (64, 18, 1e-4)
    papers = {(a.norm, a.batch_size): a.paper for a, _ in listed if a.table == 3}
    assert papers["both", 32] == 92.9
    assert papers["g", 512] == 89.22


def test_an_id_is_that_of_a_studys_store(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    config = TrialConfig(normal_class=3, pollution=0.1)
    mine = importlib.import_module("paper_results").trial_id(config, "a+b")
    assert mine == tracking_id(config.to_dict(), "a+b")


def test_the_length_is_halved_until_it_fits_by_the_measured_speed(paper):
    clock, plan = (importlib.import_module(name) for name in ("paper_time", "paper_plan"))
    config = plan.Plan("cifar10", (0,), "fp32").config(plan.GROUPS[0][0], 0, 0)
    speed = clock.Speed(images_per_second=9 * 512 / 2.0, evaluate_s=10.0)  # 2 s an epoch
    assert speed.seconds(config, 5000) == pytest.approx(500 * 2 + 2 * 10)
    assert clock.shortened(config, 5000, speed, 1020.1).budget == 500
    assert clock.shortened(config, 5000, speed, 1000).budget == 250
    assert clock.shortened(config, 5000, speed, 1).budget == 1


def test_what_is_measured_is_used_and_then_what_is_recorded(paper, run, tmp_path, capsys):
    data = write_digits(tmp_path / "data")
    assert run(data, OUT_OF_TIME) == 0
    assert "measuring simclr, batch 32" in capsys.readouterr().out
    ((_, rows),) = models(tmp_path / "out" / "paper").items()
    assert {row["budget"] for row in rows} == {1}
    assert run(data, OUT_OF_TIME) == 0
    assert "measuring" not in capsys.readouterr().out
    text = (tmp_path / "out" / "paper.md").read_text()
    assert "not measured" not in text


def test_told_to_stop_models_end_after_their_epoch_and_go_on_in_the_next_run(tmp_path):
    data, out = write_digits(tmp_path / "data"), tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.paper", "--toy", "--out", str(out), "--data", data]
    command += ["--minutes", "9", "--epochs", "500", "--at-once", "2", "--device", "cpu"]
    with subprocess.Popen(
        command, cwd=FOLDER.parent, stdout=PIPE, stderr=PIPE, text=True,
        env={**os.environ, "NSA_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        told = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert all(line.endswith(", airplane: 500 epochs\n") for line in told), told
    assert (process.returncode, errors) == (
        130, "stopped; the next run goes on from the last checkpoints\n",
    )  # fmt: skip


def test_a_model_that_diverges_is_named_and_left_out(paper, tmp_path):
    state = importlib.import_module("paper_run")
    training = importlib.import_module("paper_training")
    report = importlib.import_module("paper_report")
    run = state.Run(
        data=state.load(write_digits(tmp_path / "data"), toy=True), folder=tmp_path,
        device=torch.device("cpu"), seconds=60, deadline=time.monotonic() + 60, epochs=4, toy=True,
    )  # fmt: skip
    _, config = next(run.plan.models())
    training.train_model(run, replace(config, budget=4, evaluations=1, learning_rate=1e38))
    ((identity, trained),) = run.trained.items()
    assert trained.ended
    assert trained.last["status"] == "diverged"
    assert {row["status"] for row in models(tmp_path)[identity]} == {"diverged"}
    assert not (tmp_path / f"{identity}.pt").exists()
    assert "1 diverged, left out" in report.markdown(run, "it")


def test_bad_input_is_one_line(run, paper, tmp_path, monkeypatch, capsys):
    assert run(str(tmp_path / "none-{split}.parquet"), "1") == 2
    assert capsys.readouterr().err.startswith("error: image Parquet file")
    data = write_digits(tmp_path / "data", ("3", "8"))
    monkeypatch.setattr(
        sys, "argv", ["paper.py", "--data", data, "--minutes", "1", "--out", str(tmp_path / "o")]
    )
    assert paper.main() == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "has classes 3, 8; need CIFAR-10's (airplane" in err
    assert not (tmp_path / "o").exists()
    folder = tmp_path / "out" / "paper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0123.parquet").write_bytes(b"PAR1 torn")
    assert run(data, "1") == 2
    assert "0123.parquet: not a whole Parquet file" in capsys.readouterr().err


def test_it_imports_nothing_but_the_core_and_what_that_needs():
    found, todo = set(), ["paper"]
    while todo:
        tree = ast.parse((FOLDER / f"{(name := todo.pop())}.py").read_text())
        found.add(name)
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for top in {each.partition(".")[0] for each in names}:
                if (FOLDER / f"{top}.py").exists() and top not in found:
                    todo.append(top)
                elif top not in found:
                    assert top in {*sys.stdlib_module_names, *NEEDED}, f"{name} imports {top}"
    assert {"paper_training", "paper_report", "hardware"} <= found
