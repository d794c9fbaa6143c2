"""A folder that gives the same scores, and folders that are refused."""

import hashlib
import json
import math
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from safetensors.torch import save as as_bytes

from nsa_core import AnomalyDetector, InputError, scorers
from nsa_core.augment import Augmentation
from nsa_core.detector.loaded import _could_run
from nsa_core.detector.saved import digest_of

FILES = ["detector.json", "scorer.safetensors", "weights.safetensors"]


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    return fitted.save(tmp_path_factory.mktemp("saved") / "digits")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "detector")


@pytest.fixture
def refused(folder):
    def check(said):
        with pytest.raises(InputError, match=said) as caught:
            AnomalyDetector.load(folder)
        assert "\n" not in str(caught.value)

    return check


def edit(folder, change):
    """Change what the folder says of itself, and the digest of it: as somebody who means it."""
    path = folder / "detector.json"
    about = json.loads(path.read_text())
    change(about)
    if isinstance(about.get("sha256"), dict):
        about["sha256"]["detector.json"] = digest_of(about)
    path.write_text(json.dumps(about))


def rewrite(folder, name, **changed):
    """Other tensors, and their digest: as somebody would who means it."""
    tensors = load_file(folder / name) | changed
    kept = {key: value for key, value in tensors.items() if value is not None}
    save_file(kept, folder / name)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit(folder, lambda about: about["sha256"].update({name: digest}))


def test_a_loaded_detector_gives_the_same_bits(saved, fitted, digit_images):
    loaded = AnomalyDetector.load(saved)
    for images in (digit_images[0][:60], digit_images[1][:60]):
        np.testing.assert_array_equal(loaded.anomaly_scores(images), fitted.anomaly_scores(images))
        np.testing.assert_array_equal(loaded.p_values(images), fitted.p_values(images))
        np.testing.assert_array_equal(loaded.predict(images), fitted.predict(images))
    for name, features in fitted.features(digit_images[0][:9]).items():
        np.testing.assert_array_equal(loaded.features(digit_images[0][:9])[name], features)
    np.testing.assert_array_equal(loaded.scorer_.leave_one_out(), fitted.scorer_.leave_one_out())


def test_a_loaded_detector_knows_all_that_the_fitted_one_did(saved, fitted):
    loaded = AnomalyDetector.load(saved)
    assert loaded.get_params() == fitted.get_params()
    for name in ("config_", "dynamics_", "names_", "fingerprint_", "image_shape_", "offset_"):
        assert getattr(loaded, name) == getattr(fitted, name)
    for name in ("train_rows_", "calibration_rows_", "calibration_scores_", "train_features_"):
        found, expected = getattr(loaded, name), getattr(fitted, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_all_parameters_go_along_and_a_detector_without_calibration_too(tmp_path, digit_images):
    detector = AnomalyDetector(
        method="simclr",
        width=8,
        epochs=1,
        augment=Augmentation(crop_scale=(0.5, 1.0)),
        method_options={"projector_dim": 16},
        scorer="oc-svm",
        layer="stage2",
        calibration=0,
    ).fit(digit_images[0][:12])
    loaded = AnomalyDetector.load(detector.save(tmp_path / "other"))
    assert loaded.get_params() == detector.get_params()
    images = digit_images[1][:20]
    np.testing.assert_array_equal(loaded.anomaly_scores(images), detector.anomaly_scores(images))
    assert (loaded.predict(images) == 1).all()


def test_saving_again_gives_the_same_files_and_replaces_a_detector(saved, fitted, tmp_path):
    again = tmp_path / "a" / "b"
    fitted.save(again)
    for _ in range(2):
        assert sorted(each.name for each in again.iterdir()) == FILES
        for name in FILES:
            assert (again / name).read_bytes() == (saved / name).read_bytes()
        fitted.save(str(again))
    assert [*(tmp_path / "a").iterdir()] == [again]


def test_nothing_else_is_replaced(fitted, folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(folder)
    for name in ("detector", "file", "empty", "link"):
        with pytest.raises(InputError, match="exists and is no saved detector"):
            fitted.save(tmp_path / name)
    assert (folder / "notes.txt").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
def test_a_save_that_fails_leaves_the_older_detector(
    fitted, folder, monkeypatch, name, digit_images
):
    before = {each: (folder / each).read_bytes() for each in FILES}
    sync, files = os.fsync, iter(FILES)

    def full(descriptor):
        if next(files) == name:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left"):
        fitted.save(folder)
    assert {each: (folder / each).read_bytes() for each in FILES} == before
    assert [*folder.parent.iterdir()] == [folder]


def test_a_folder_that_cannot_take_its_place_leaves_the_older_detector(fitted, folder, monkeypatch):
    before = {each: (folder / each).read_bytes() for each in FILES}
    rename = Path.rename

    def refusing(path, target):
        if target == folder and not path.name.endswith(".old"):
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(InputError, match=r"cannot be written: .*Permission denied"):
        fitted.save(folder)
    assert {each: (folder / each).read_bytes() for each in FILES} == before
    assert [*folder.parent.iterdir()] == [folder]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"detector .*/none' does not exist; need a folder of a s"):
        AnomalyDetector.load(tmp_path / "none")
    with pytest.raises(InputError, match=r"has no detector\.json; need a folder of a saved"):
        AnomalyDetector.load(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, refused, name):
    (folder / name).unlink()
    refused(rf"has no {name}|{name} cannot be read \(No such file or directory\)")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 7, 0.5, -1])
def test_a_file_that_was_cut_short_is_named(folder, refused, name, kept):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])
    if name == "detector.json" and kept == -1:
        (folder / name).write_bytes(content[:-2])
    refused(rf"{name} is not (whole|what was saved)")


def test_a_changed_byte_is_noticed(folder, refused):
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    refused("weights.safetensors is not what was saved: cut short or changed")


def test_a_changed_number_of_the_description_is_noticed(folder, refused):
    path = folder / "detector.json"
    about = json.loads(path.read_text())
    about["config"]["learning_rate"] *= 2
    path.write_text(json.dumps(about))
    refused("detector.json is not what was saved: changed")


def test_an_older_description_without_a_digest_is_read(folder):
    path = folder / "detector.json"
    about = json.loads(path.read_text())
    del about["sha256"]["detector.json"]
    path.write_text(json.dumps(about))
    AnomalyDetector.load(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused_with_both(folder, refused, version):
    edit(folder, lambda about: about.update(version=version))
    refused(rf"is a detector of version {version!r}, written by nsa_core '.*'; this one reads ver")


def test_another_versions_scorer_is_refused(folder, monkeypatch, refused):
    monkeypatch.setitem(scorers._VERSIONS, "k-cos", 3)
    refused("its k-cos is of version 2, and this one of version 3, which scores otherwise")


class Program:
    def __reduce__(self):
        return os.mkdir, ("pickles-run-code",)


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "sub/model.bin", "README", "a.joblib"])
def test_a_pickle_is_refused_whatever_it_is_called(folder, refused, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Program()))
    refused(rf"{name} could run code")
    assert not (tmp_path / "pickles-run-code").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_program_in_a_files_place_is_refused(folder, refused, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Program()}, folder / name)
    refused(rf"{name} could run code")
    (folder / name).write_bytes(pickle.dumps(Program(), protocol=0))  # which begins like a text
    refused(rf"{name} is not (whole|what was saved)")
    assert not (tmp_path / "pickles-run-code").exists()


def test_a_readme_beside_it_does_no_harm(folder, fitted, digit_images):
    (folder / "README.md").write_text("Digits.")
    images = digit_images[1][:5]
    found = AnomalyDetector.load(folder).anomaly_scores(images)
    np.testing.assert_array_equal(found, fitted.anomaly_scores(images))


@pytest.mark.parametrize("name", [*FILES, "notes"])
def test_links_are_not_followed(folder, refused, name, tmp_path):
    outside = tmp_path / "outside"
    if (folder / name).exists():
        (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    refused(rf"{name} is a link")


def test_a_pipe_is_not_waited_for(folder, refused):
    (folder / "weights.safetensors").unlink()
    os.mkfifo(folder / "weights.safetensors")
    refused("weights.safetensors is no plain file")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(folder, refused, value):
    weights = load_file(folder / "weights.safetensors")
    broken = weights["encoder.stem.0.weight"].clone()
    broken[0, 0, 0, 0] = value
    rewrite(folder, "weights.safetensors", **{"encoder.stem.0.weight": broken})
    refused("weights.safetensors: encoder.stem.0.weight holds NaN or infinity")


@pytest.mark.parametrize("tensor", [torch.zeros(8, 3, 3, 4), torch.zeros(8), None])
def test_weights_of_another_shape_are_named(folder, refused, tensor):
    rewrite(folder, "weights.safetensors", **{"encoder.stem.0.weight": tensor})
    refused("weights.safetensors is not of its configuration: encoder.stem.0.weight differ")


def test_a_configuration_that_asks_for_any_memory_gets_none(folder, refused):
    def widen(about):
        about["config"]["width"] = about["parameters"]["width"] = 2**17

    edit(folder, widen)
    refused("weights.safetensors is not of its configuration")


@pytest.mark.parametrize(
    "changed",
    [
        {"train_features": torch.zeros(99, 64)},
        {"train_features": torch.zeros(100, 64, dtype=torch.float64)},
        {"calibration_scores": torch.arange(25, 0, -1, dtype=torch.float64)},
        {"calibration_scores": torch.zeros(24, dtype=torch.float64)},
        {"train_rows": torch.arange(100)},
        {"train_rows": torch.arange(0)},
        {"patches": torch.zeros(7)},
    ],
    ids=str,
)
def test_what_the_scorer_learnt_must_fit_together(folder, refused, changed):
    rewrite(folder, "scorer.safetensors", **changed)
    refused("scorer.safetensors does not fit the 125 images")


def test_features_of_another_network_are_refused(folder, refused):
    rewrite(folder, "scorer.safetensors", train_features=torch.rand(100, 32))
    refused("scorer.safetensors has features of 32 numbers; its network gives 64")


def test_other_tensors_are_refused(folder, refused):
    rewrite(folder, "scorer.safetensors", more=torch.zeros(1))
    refused("scorer.safetensors holds .*more.*; need train_features, ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about.clear(), "describes no detector"),
        (lambda about: about.update(format="other"), "describes no detector"),
        (lambda about: about.pop("config"), "it has no 'config'"),
        (lambda about: about.pop("names"), "it has no 'names'"),
        (lambda about: about.update(sha256=None), "is not what was saved"),
        (lambda about: about["config"].update(epoch=3), "unknown configuration key 'epoch'"),
        (lambda about: about["parameters"].update(more=3), "unknown parameter 'more'"),
        (lambda about: about["parameters"].pop("seed"), "it has no 'seed'"),
        (lambda about: about["parameters"].update(seed="x"), "its seed is 'x', and it was trained"),
        (lambda about: about["parameters"].update(seed=None), "its seed is None, and"),
        (lambda about: about["parameters"].update(epochs=9), "its epochs is 9, and it was trained"),
        (lambda about: about["parameters"].update(method=0), "its method is 0, and"),
        (lambda about: about["parameters"].update(norm=[]), r"its norm is \[\], and"),
        (lambda about: about["parameters"].update(method_options={"a": 1}), "its a is 1, and"),
        (lambda about: about["parameters"].update(calibration=-1), "calibration is -1"),
        (lambda about: about.update(parameters=3), "parameters is 3; need a dict"),
        (lambda about: about["parameters"].update(scorer="k"), "unknown scorer 'k'"),
        (lambda about: about["parameters"].update(layer="x"), "unknown layer 'x'"),
        (lambda about: about["parameters"].update(augment=[1]), "augment is .*need a dict"),
        (lambda about: about["parameters"].update(augment={"x": 1}), "unknown augmentation key"),
        (lambda about: about["parameters"].update(false_alarm_rate=2), "false_alarm_rate is 2"),
        (lambda about: about["parameters"].update(image_size="x"), "image_size is 'x'"),
        (
            lambda about: about["parameters"].update(image_size=10**7),
            "image_size is 10000000, with",
        ),
        (lambda about: about["config"].update(image_size=10**7), "image_size is 10000000"),
        (lambda about: about["parameters"].update(resize=[]), "unknown resize"),
        (lambda about: about.update(image_shape=[1, 16]), r"image_shape is \[1, 16\]"),
        (lambda about: about.update(image_shape=[1, 16, math.inf]), "image_shape is inf"),
        (lambda about: about.update(image_shape=[2, 16, 16]), r"image_shape is \[2, 16, 16\]"),
        (lambda about: about.update(image_shape=[1, 10**9, 16]), "image_shape is"),
        (lambda about: about.update(names=3), "names is 3; need a list"),
        (lambda about: about.update(fingerprint=3), "fingerprint is 3; need a str"),
        (lambda about: about.update(notes=[]), r"notes is \[\]; need a dict"),
        (lambda about: about.update(dynamics=[3]), "dynamics has 3; need the numbers of an epoch"),
        (lambda about: about["dynamics"][0].update(kappa="x"), "dynamics has"),
        (lambda about: about["dynamics"][0].pop("step"), "dynamics has"),
    ],
)
def test_what_it_says_of_itself_is_checked(folder, refused, change, said):
    edit(folder, change)
    refused(said)


def test_a_list_that_is_too_deep_is_no_detector(folder, refused):
    (folder / "detector.json").write_text("[" * 100_000)
    refused("detector.json is not whole")


def test_safetensors_that_begin_like_a_pickle_are_not_taken_for_one(tmp_path):
    """Their first byte is the lowest of their header's length, which may be any."""
    found = (as_bytes({"x" * n: torch.zeros(1)}) for n in range(1, 300))
    content = next(each for each in found if each.startswith(b"\x80"))
    (tmp_path / "weights.safetensors").write_bytes(content)
    assert not _could_run(tmp_path / "weights.safetensors")
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps({"a": content}))
    assert _could_run(tmp_path / "weights.safetensors")
