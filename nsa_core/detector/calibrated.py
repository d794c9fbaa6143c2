"""What calibrated scores say of images: flags and p-values, by scikit-learn's names."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from nsa_core.detector import conformal
from nsa_core.detector.withheld import warn_of_few

Values = npt.NDArray[np.float64]


class CalibratedMixin(OutlierMixin):  # type: ignore[misc]  # scikit-learn has no types
    """For estimators with ``anomaly_scores`` and, once fitted, ``calibration_scores_``."""

    calibration: float
    false_alarm_rate: float
    calibration_scores_: Values
    offset_: float

    def anomaly_scores(self, X: Any) -> Values:  # noqa: N803  # scikit-learn's name
        """Scores, float64 [N]; higher is more anomalous."""
        raise NotImplementedError

    def score_samples(self, X: Any) -> Values:  # noqa: N803
        """Minus the anomaly scores, float64 [N]: lower is more abnormal."""
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> Values:  # noqa: N803
        """``score_samples`` less ``offset_``, float64 [N]: negative for outliers.

        Infinite where too few images are calibrated on to flag any.
        """
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:  # noqa: N803
        """-1 for outliers, 1 for inliers, int64 [N]."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> Values:  # noqa: N803
        """Conformal p-values, float64 [N] in (0, 1]: how often a normal image scores as high."""
        scores = self.anomaly_scores(X)
        return conformal.p_values(self.calibration_scores_, scores)

    def discoveries(self, X: Any, false_discovery_rate: float) -> npt.NDArray[np.bool_]:  # noqa: N803
        """Which images to flag so that, on average, at most this share of the flagged is normal.

        By Benjamini and Hochberg, over all images given together; bool [N].
        """
        return conformal.benjamini_hochberg(self.p_values(X), false_discovery_rate)

    def calibrate(self, false_alarm_rate: float) -> Self:
        """Choose another false-alarm rate in (0, 1), without a new fit."""
        check_is_fitted(self)
        scores = self.calibration_scores_
        self.offset_ = -conformal.threshold(scores, false_alarm_rate)
        self.false_alarm_rate = false_alarm_rate
        if self.calibration:
            warn_of_few(len(scores), self.calibration, false_alarm_rate)
        return self
