"""``nsa fit``: from a folder to a saved detector, and what it says on the way."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from nsa_core import AnomalyDetector
from nsa_core.detector.suspects import judge_folds
from studies.__main__ import main as nsa
from studies.detect import command, fit
from tests.studies.detect.conftest import FIT


def test_the_saved_detector_is_that_of_the_estimator_and_of_the_seed(model, digits):
    saved = AnomalyDetector.load(model)
    same = AnomalyDetector(epochs=2, false_alarm_rate=0.1).fit(str(digits / "train"))
    assert saved.calibration_scores_.tolist() == same.calibration_scores_.tolist()
    assert saved.offset_ == same.offset_
    assert saved.notes_["source"] == str(digits)
    assert saved.notes_["split"] == "train"


def test_suspects_are_those_of_the_folds(model, digits):
    saved = AnomalyDetector.load(model)
    rows, scores = zip(
        *((each.rows, each.scores) for each in judge_folds(saved, str(digits / "train"))),
        strict=True,
    )
    wanted = np.empty(63)
    wanted[np.concatenate(rows)] = np.concatenate(scores)
    assert saved.notes_["suspects"] == wanted.tolist()


def test_it_says_what_it_found_what_it_promises_and_what_is_next(digits, tmp_path, capsys):
    out = tmp_path / "model"
    assert nsa(["fit", str(digits), "--out", str(out), *FIT]) == 0
    said, progress = capsys.readouterr()
    assert said.startswith("63 images of the split train, grey 16x16\n")
    assert "class names are ignored, all images are trained on: other (3), three (60)" in said
    assert "simsiam from scratch, fit to 50 images" in said
    assert "13 withheld to calibrate: at most 0.1 of normal images are flagged, on average" in said
    assert f"next: nsa inspect {out}" in said
    assert re.search(r"training: done in 0:\d\d", progress)


def test_json_holds_the_same_and_a_rate_that_is_too_small_is_noted(digits, tmp_path, capsys):
    out = tmp_path / "model"
    arguments = [str(digits / "train" / "three"), "--out", str(out), "--scratch", "--epochs", "1"]
    assert fit.main([*arguments, "--json"]) == 0
    said, notes = capsys.readouterr()
    found = json.loads(said)
    assert found["images"] == 60
    assert found["trained_on"] + found["calibration_images"] == 60
    assert found["least_rate"] == pytest.approx(1 / 13)
    assert not found["promised"]
    (note,) = found["notes"]
    assert "12 calibration images can promise no false-alarm rate below 7.69%" in note
    assert f"note: {note}" in notes


def test_a_backbone_is_taken_if_it_is_installed_unless_told_otherwise(
    digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(command, "_EVERY_S", 0.05)
    folder = str(digits / "train" / "three")
    assert nsa(["fit", folder, "--out", str(tmp_path / "model"), "--size", "32", "--json"]) == 0
    said, progress = capsys.readouterr()
    assert json.loads(said)["backbone"] == fit.LITE
    assert "training: 0:00 so far" in progress  # nothing is trained, and yet it lives


def test_broken_files_are_named_and_left_out_on_request_alone(digits, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((digits / "train" / "three").iterdir())[:20]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.png").write_bytes(b"no image")
    command = [str(folder), "--out", str(tmp_path / "model"), *FIT]
    assert fit.main(command) == 2
    assert "broken.png" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
    assert fit.main([*command, "--skip-broken", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 20
    assert [*found["skipped"]] == ["broken.png"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "images 'IMAGES': there is nothing of this name"),
        (lambda folder: folder.mkdir(), "holds no image"),
        (lambda folder: images_of_sizes(folder, (16, 16)), "1 images are too few"),
        (lambda folder: images_of_sizes(folder, (16, 16), (17, 16)), "resize"),
    ],
    ids=["missing", "empty", "one image", "two sizes"],
)
def test_bad_input_is_one_clear_error(make, message, tmp_path, capsys):
    folder = tmp_path / "images"
    make(folder)
    assert fit.main([str(folder), "--out", str(tmp_path / "model"), *FIT]) == 2
    said, error = capsys.readouterr()
    assert message.replace("IMAGES", str(folder)) in error
    assert error.startswith("error: ")
    assert not said
    assert not (tmp_path / "model").exists()


def test_what_is_no_detector_is_not_replaced(digits, tmp_path, capsys):
    (tmp_path / "precious").write_text("words")
    assert fit.main([str(digits), "--out", str(tmp_path), *FIT]) == 2
    assert "exists and is not a detector" in capsys.readouterr().err
    assert (tmp_path / "precious").read_text() == "words"


def test_a_place_that_cannot_be_written_is_told_before_the_training(digits, tmp_path, capsys):
    (tmp_path / "words").write_text("")
    assert fit.main([str(digits), "--out", str(tmp_path / "words" / "model")]) == 2
    error = capsys.readouterr().err
    assert f"cannot be written: '{tmp_path / 'words'}' is a file" in error
    assert "training" not in error


def test_the_model_is_named_after_the_whole_folder_and_the_next_command_can_be_pasted(
    digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits, tmp_path / "my shots.2")
    assert fit.main(["my shots.2", *FIT]) == 0
    said = capsys.readouterr().out
    assert "written: my shots.2-model\n" in said
    assert "next: nsa inspect 'my shots.2-model' " in said


def test_a_backbone_takes_a_file_of_weights(digits, tmp_path, capsys):
    command = [str(digits), "--out", str(tmp_path / "model"), "--backbone", "resnet18"]
    assert fit.main(command) == 2
    assert "backbone resnet18 needs a file of weights" in capsys.readouterr().err
    assert fit.main([*command, "--weights", "nowhere.pth"]) == 2
    assert "weights 'nowhere.pth' do not exist" in capsys.readouterr().err
    file = tmp_path / "resnet18.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), file)
    assert fit.main([*command, "--weights", str(file), "--size", "32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backbone"] == "resnet18"


def test_an_interruption_ends_with_130_and_leaves_nothing(digits, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(AnomalyDetector, "fit", interrupted)
    assert fit.main([str(digits), "--out", str(tmp_path / "model"), *FIT]) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def images_of_sizes(folder, *sizes):
    folder.mkdir()
    for row, size in enumerate(sizes):
        Image.new("L", size, row).save(folder / f"{row}.png")
