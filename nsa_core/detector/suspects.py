"""Suspects: which training images do not belong, without labels, and without knowing how many.

To a detector that has learnt from an image, that image looks normal. Two ways around that:

- Folds: every image is judged by a training that has not seen it, nor has its scorer. That costs
  as many trainings as there are folds; each is one call of ``judge_fold``, which depends on nothing
  but detector, pictures and fold, so folds may run anywhere and in any order.
- Leave-one-out, of the one training that there is: no image is compared with itself, but the
  encoder has seen all but those withheld for calibration. It costs next to nothing.

Scores of different trainings have different origins and units, so those of each are taken from
their median in units of their quartile range, which a minority of outliers hardly moves. The images
of a fold are drawn at random, so both are estimates of the same quantities in every fold. Ranks, or
conformal p-values, within a fold have one unit too, but are blind to how far out an image lies:
every fold would have one image of the first rank, whether it holds five outliers or none.

Near duplicates vouch for each other: ``groups`` keeps those of one part, or of a camera's burst, in
one fold. Outliers that are many and alike are a second kind of normal: nothing here tells which.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from nsa_core.detector.detector import AnomalyDetector
from nsa_core.detector.folds import Rows, fold_rows
from nsa_core.detector.images import some
from nsa_core.errors import InputError, whole
from nsa_core.scorers import Scores
from nsa_core.seeds import derive_seed
from nsa_core.training import Pulse

FOLDS = 5

OnEpoch = Callable[[Pulse], None]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a training says of images that it has not seen.

    Attributes:
        fold, folds: which one of how many, from 0.
        rows: int64 [n], of the images, rising.
        scores: float64 [n], in quartile ranges above the median; higher is more suspect.
        seconds: that it took.
    """

    fold: int
    folds: int
    rows: Rows
    scores: Scores
    seconds: float


@dataclass(frozen=True, eq=False)
class Suspects:
    """All images, each with a score of how little it belongs.

    Attributes:
        scores: float64 [N]; higher is more suspect, about 0 is typical. There is no threshold.
        names: [N], in the same order.
    """

    scores: Scores
    names: tuple[str, ...]

    @property
    def order(self) -> Rows:
        """Rows of the images, int64 [N], the most suspect first; equal ones in their order."""
        return np.argsort(-self.scores, kind="stable")

    @property
    def ordered_names(self) -> tuple[str, ...]:
        """The names, the most suspect first."""
        return tuple(self.names[row] for row in self.order)


def suspects(
    detector: AnomalyDetector,
    X: Any,  # noqa: N803  # as the detector calls it
    folds: int = FOLDS,
    groups: Sequence[Any] | None = None,
) -> Suspects:
    """Judge every image by a training on the other folds; see ``judge_folds`` for its progress.

    Args:
        detector: what is trained; it need not be fitted, and is left as it is.
        X: the images, as ``AnomalyDetector.fit`` takes them.
        folds: at least 2.
        groups: [N], what each image belongs to; a group is judged as a whole.

    Raises:
        InputError, DivergedError: as ``fit`` does, or fewer images or groups than folds.
    """
    pictures = detector.pictures(X)
    return gathered(list(judge_folds(detector, pictures, folds, groups)), pictures.names)


def judge_folds(
    detector: AnomalyDetector,
    X: Any,  # noqa: N803
    folds: int = FOLDS,
    groups: Sequence[Any] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Iterator[Judged]:
    """The folds one after the other, each as soon as it is judged."""
    pictures = detector.pictures(X)
    for fold in range(whole("folds", folds, 2)):
        yield judge_fold(detector, pictures, fold, folds, groups, on_epoch)


def judge_fold(
    detector: AnomalyDetector,
    X: Any,  # noqa: N803
    fold: int,
    folds: int = FOLDS,
    groups: Sequence[Any] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Judged:
    """Train on all other folds, with a seed of its own, and judge this one; see ``suspects``.

    Nothing is withheld for calibration. On a CPU the same detector, pictures and fold give the same
    bits. ``on_epoch`` is told of every trained epoch.
    """
    started = time.perf_counter()
    pictures = detector.pictures(X)
    rows = fold_rows(len(pictures.names), fold, folds, detector.seed, groups)
    others = np.setdiff1d(np.arange(len(pictures.names)), rows)
    seed = derive_seed(detector.seed, "suspects", folds, fold)
    judge = clone(detector).set_params(calibration=0.0, seed=seed)
    judge.fit(some(pictures, others), on_epoch=on_epoch)
    scores = in_quartile_ranges(judge.anomaly_scores(some(pictures, rows)))
    return Judged(fold, folds, rows, scores, time.perf_counter() - started)


def gathered(folds: Sequence[Judged], names: Sequence[str]) -> Suspects:
    """One score of every image, from all folds in any order.

    Raises:
        InputError: an image that is in no fold, or in several.
    """
    rows = np.concatenate([each.rows for each in folds]) if folds else np.zeros(0, np.int64)
    if not np.array_equal(np.sort(rows), np.arange(len(names))):
        done = sorted(each.fold for each in folds)
        raise InputError(f"folds {done} do not have each of the {len(names)} images once")
    scores = np.empty(len(names))
    scores[rows] = np.concatenate([each.scores for each in folds])
    return Suspects(scores, tuple(names))


def left_out_scores(detector: AnomalyDetector, X: Any) -> Suspects:  # noqa: N803
    """Leave-one-out scores of a fitted detector's own training images.

    Those withheld for calibration, which the encoder has not seen, have a median and a unit of
    their own.

    Args:
        detector: fitted.
        X: the images that it was fit on.

    Raises:
        InputError: other images, or a scorer without leave-one-out scores.
        NotFittedError: the detector is not fitted.
    """
    check_is_fitted(detector)
    pictures = detector.pictures(X)
    if pictures.fingerprint != detector.fingerprint_:
        raise InputError(
            f"these {len(pictures.names)} images are not the {len(detector.names_)} that the "
            "detector was fit on; leave-one-out scores are of those alone"
        )
    scores = np.empty(len(pictures.names))
    scores[detector.train_rows_] = in_quartile_ranges(detector.scorer_.leave_one_out())
    if len(withheld := detector.calibration_rows_):
        unseen = detector.anomaly_scores(some(pictures, withheld))
        scores[withheld] = in_quartile_ranges(unseen)
    return Suspects(scores, pictures.names)


def in_quartile_ranges(scores: Scores) -> Scores:
    """Scores [n] from their median, in units of their quartile range; of their standard deviation
    where that is 0, and zeros where all are equal.
    """
    low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
    found: Scores = (scores - middle) / (high - low or scores.std() or 1.0)
    return found
