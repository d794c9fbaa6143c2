"""Our detectors on one training set: from scratch, and on a frozen network."""

import warnings

import numpy as np
from real_case_data import Part
from real_case_peers import SIDE, Verdict

from nsa_core import scorers
from nsa_core.detector import AnomalyDetector
from nsa_core.detector.suspects import fold_rows, in_quartile_ranges, left_out_scores
from nsa_core.models.backbone import LITE

SCRATCH, FROZEN = "nsa, from scratch", "nsa, pre-trained"


def from_scratch(train: Part, rate: float, passes: int) -> AnomalyDetector:
    """The estimator as it comes, but for the length of its training, in passes of an image."""
    withheld = AnomalyDetector().calibration
    epochs = max(1, round(passes / ((1 - withheld) * len(train))))
    return _fitted(AnomalyDetector(epochs=epochs, false_alarm_rate=rate), train)


def frozen(train: Part, rate: float) -> AnomalyDetector:
    """The same on EfficientNet-Lite0 as it is."""
    return _fitted(AnomalyDetector(backbone=LITE, image_size=SIDE, false_alarm_rate=rate), train)


def judged(name: str, detector: AnomalyDetector, train: Part, features: np.ndarray) -> Verdict:
    """What a detector says of the training set that it was fitted on, and of a test's features."""
    scores = detector.scorer_.score(features)
    suspects = left_out_scores(detector, grey(train)).scores
    return Verdict(name, scores, suspects, scores > -detector.offset_)


def frozen_features(detector: AnomalyDetector, train: Part) -> np.ndarray:
    """Embeddings [n, d] of all images that a frozen detector was given."""
    features = np.empty((len(train), detector.train_features_.shape[1]), np.float32)
    features[detector.train_rows_] = detector.train_features_
    rows = detector.calibration_rows_
    features[rows] = detector.features(grey(train.at(rows)))["embedding"]
    return features


def frozen_folds(features: np.ndarray, group: np.ndarray, folds: int) -> np.ndarray:
    """``nsa_core.detector.suspects`` of a frozen network, whose features are those of all folds."""
    scores = np.empty(len(features))
    for fold in range(folds):
        rows = fold_rows(len(features), fold, folds, 0, group)
        others = np.setdiff1d(np.arange(len(features)), rows)
        scorer = scorers.build(AnomalyDetector().scorer).fit(features[others])
        scores[rows] = in_quartile_ranges(scorer.score(features[rows]))
    return scores


def grey(part: Part) -> np.ndarray:
    """Images as the estimator takes them, uint8 [N, H, W]."""
    return part.images[:, 0]


def _fitted(detector: AnomalyDetector, train: Part) -> AnomalyDetector:
    with warnings.catch_warnings(action="ignore"):  # of a toy, that promises nothing
        return detector.fit(grey(train), groups=train.group)
