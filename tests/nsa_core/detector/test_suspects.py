"""Who does not belong: folds and left-out rows against trainings and fits done by hand."""

import numpy as np
import pytest
from scipy.stats import iqr
from sklearn.exceptions import NotFittedError

from nsa_core import InputError
from nsa_core.detector import AnomalyDetector
from nsa_core.detector.suspects import (
    Judged,
    gathered,
    in_quartile_ranges,
    judge_fold,
    judge_folds,
    left_out_scores,
    suspects,
)
from nsa_core.metrics import auprc
from nsa_core.scorers import CosineKNN
from nsa_core.seeds import derive_seed

RNG = np.random.default_rng(0)
COUNT, BAD, FOLDS = 90, 9, 3


def tiny(**changes) -> AnomalyDetector:
    settings = {
        "width": 8, "batch_size": 20, "epochs": 6, "scorer": "cosine-knn",
        "device": "cpu", "seed": 3,
        "method_options": {"projector_dim": 32, "predictor_dim": 16},
    }  # fmt: skip
    return AnomalyDetector(**{**settings, **changes})


@pytest.fixture(scope="module")
def polluted(digits) -> tuple[np.ndarray, np.ndarray]:
    """Ninety digits, uint8 [N, H, W], of which nine are not 0, in any order; and which."""
    train, _ = digits
    normals, others = (np.flatnonzero((train.labels == 0) == kind) for kind in (True, False))
    rows = np.concatenate([normals[: COUNT - BAD], RNG.permutation(others)[:BAD]])
    rows = RNG.permutation(rows)
    return train.images[rows, 0], train.labels[rows] != 0


@pytest.fixture(scope="module")
def judged(polluted) -> list[Judged]:
    return list(judge_folds(tiny(), polluted[0], FOLDS))


def test_the_unit_is_scipys_quartile_range_from_the_median():
    scores = RNG.gamma(2, size=101)
    expected = (scores - np.median(scores)) / iqr(scores)
    np.testing.assert_allclose(in_quartile_ranges(scores), expected, rtol=1e-12)
    np.testing.assert_allclose(in_quartile_ranges(1e-3 * scores + 5), expected, rtol=1e-9)


def test_a_few_outliers_do_not_move_the_unit():
    scores = RNG.normal(size=1000)
    polluted = np.where(np.arange(1000) < 50, 1e6, scores)
    np.testing.assert_allclose(
        in_quartile_ranges(polluted)[50:], in_quartile_ranges(scores)[50:], rtol=0.1, atol=0.1
    )


def test_equal_scores_have_no_suspect_and_one_among_equal_ones_is():
    assert not in_quartile_ranges(np.full(7, 0.3)).any()
    found = in_quartile_ranges(np.array([0.3] * 6 + [0.9]))
    assert np.isfinite(found).all()
    assert found.argmax() == 6


def test_a_fold_is_judged_by_a_training_on_all_others_with_a_seed_of_its_own(polluted, judged):
    images, _ = polluted
    each = judged[1]
    others = np.setdiff1d(np.arange(COUNT), each.rows)
    fresh = tiny(calibration=0.0, seed=judge_seed(each))
    scores = fresh.fit(images[others]).anomaly_scores(images[each.rows])
    np.testing.assert_array_equal(each.scores, in_quartile_ranges(scores))
    assert len({judge_seed(each) for each in judged}) == FOLDS


def judge_seed(each: Judged) -> int:
    return derive_seed(3, "suspects", each.folds, each.fold)


def test_folds_have_the_same_bits_alone_and_gathered_in_any_order(polluted, judged):
    images, _ = polluted
    names = tuple(map(str, range(COUNT)))
    pulses = []
    alone = judge_fold(tiny(), images, 1, FOLDS, on_epoch=pulses.append)
    assert [pulse.epoch for pulse in pulses] == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(alone.rows, judged[1].rows)
    assert np.array_equal(alone.scores, judged[1].scores)
    found = gathered(judged, names)
    turned = gathered([judged[2], alone, judged[0]], names)
    assert np.array_equal(found.scores, turned.scores)
    assert np.array_equal(found.scores[judged[2].rows], judged[2].scores)


def test_the_order_names_the_most_suspect_first(judged):
    names = tuple(f"{row}.png" for row in range(COUNT))
    found = gathered(judged, names)
    assert (np.diff(found.scores[found.order]) <= 0).all()
    assert found.ordered_names == tuple(f"{row}.png" for row in found.order)
    assert found.names == names


def test_half_done_or_repeated_folds_are_no_result(judged):
    names = tuple(map(str, range(COUNT)))
    for folds in ([], judged[:2], [*judged, judged[0]], [judged[0], judged[0], judged[1]]):
        with pytest.raises(InputError, match="do not have each of the 90 images once"):
            gathered(folds, names)
    with pytest.raises(InputError, match="do not have each of the 91 images once"):
        gathered(judged, [*names, "one more"])


def test_digits_that_do_not_belong_are_found_without_their_labels(polluted, judged):
    _, bad = polluted
    found = gathered(judged, tuple(map(str, range(COUNT))))
    assert auprc(found.scores, bad) > 0.5  # a tenth by chance


def test_a_folder_has_the_suspects_of_its_images_and_the_detector_is_left_as_it_was(
    polluted, encode, tmp_path
):
    images, _ = polluted
    for row, image in enumerate(images):
        (tmp_path / f"{row:02}.png").write_bytes(encode(image))
    detector = tiny(epochs=1)
    before = detector.get_params()
    found = suspects(detector, tmp_path, 2)
    assert detector.get_params() == before
    assert not hasattr(detector, "method_")
    assert found.names == tuple(f"{row:02}.png" for row in range(COUNT))
    assert np.array_equal(found.scores, suspects(detector, images, 2).scores)


def test_left_out_rows_are_those_of_fits_without_them(polluted):
    images, bad = polluted
    detector = tiny(calibration=0.3).fit(images)
    found = left_out_scores(detector, images)
    features = detector.features(images)["embedding"]
    train, withheld = detector.train_rows_, detector.calibration_rows_
    left = [
        CosineKNN().fit(features[train[train != row]]).score(features[[row]])[0] for row in train
    ]
    np.testing.assert_allclose(found.scores[train], in_quartile_ranges(np.array(left)), rtol=1e-4)
    unseen = detector.anomaly_scores(images[withheld])
    np.testing.assert_allclose(found.scores[withheld], in_quartile_ranges(unseen), rtol=1e-9)
    assert auprc(found.scores, bad) > 0.5
    assert auprc(detector.anomaly_scores(images), bad) < auprc(found.scores, bad)


def test_left_out_scores_are_of_the_detectors_own_images_alone(polluted):
    images, _ = polluted
    detector = tiny(epochs=1, calibration=0.0)
    with pytest.raises(NotFittedError):
        left_out_scores(detector, images)
    detector.fit(images)
    for others in (images[1:], images[::-1]):
        with pytest.raises(InputError, match="are not the 90 that the detector was fit on"):
            left_out_scores(detector, others)
