"""The section of ``nsa inspect``'s page that shows scores beside the threshold."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from studies.detect.judged import Judged
from tracking.report.blocks import Picture, Pictures, Section, Text
from tracking.report.panels import Histogram

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector

_BINS = 30
_FEWEST_TO_DRAW = 2

Values = npt.NDArray[np.float64]


def scores_section(detector: "AnomalyDetector", judged: Judged | None) -> Section:
    """A histogram of what the detector gave to withheld and to judged images."""
    calibration = detector.calibration_scores_
    groups = {"withheld": calibration} if len(calibration) >= _FEWEST_TO_DRAW else {}
    if judged is not None and judged.scores.size >= _FEWEST_TO_DRAW:
        own = judged.scores
        if not np.array_equal(np.sort(own), np.sort(calibration)):
            groups["judged"] = own
    if not groups:
        return Section("Scores", [Text("Too few images have scores to draw them.")])
    threshold = -float(detector.offset_)
    marks = {"threshold": threshold} if np.isfinite(threshold) else {}
    panel = _histogram(groups, marks, detector.scorer)
    alt = "; ".join(f"{name}: {len(each)} images, median {np.median(each):.3g}"
                    for name, each in groups.items())  # fmt: skip
    caption = (
        "Scores of the training images that were withheld to calibrate"
        + " and of the judged ones" * ("judged" in groups)
        + (f"; above {threshold:.4g} an image is flagged." if marks else "; nothing is flagged, "
           "they are too few for the rate.")
        + " The outermost bars hold what lies beyond."
    )  # fmt: skip
    return Section("Scores", [Pictures(caption, [Picture("scores", panel, alt)])])


def _histogram(groups: dict[str, Values], marks: dict[str, float], scorer: str) -> Histogram:
    everything = np.concatenate([*groups.values(), np.array([*marks.values()])])
    low, high = np.quantile(everything, [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    heights = {
        name: np.histogram(np.clip(each, low, edges[-1]), edges, density=True)[0].tolist()
        for name, each in groups.items()
    }
    inside = {name: float(np.clip(each, low, edges[-1])) for name, each in marks.items()}
    return Histogram("Scores, density", scorer, edges.tolist(), heights, inside)
