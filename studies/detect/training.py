"""The images that a detector was fit on: read, read again, and those that belong least."""

import math
from typing import TYPE_CHECKING

from nsa_core.errors import InputError

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector
    from nsa_core.data.pictures import Pictures
    from studies.detect.judged import Example

BY_FOLDS = "each judged by a training that has not seen it"
LEFT_OUT = "left out of the score one at a time (nsa fit --suspects judges them unseen)"


def training_pictures(detector: "AnomalyDetector", source: str, split: str | None) -> "Pictures":
    """The images of a source, or of a split of it, as the detector's ``fit`` would read them.

    Raises:
        InputError: as ``read_pictures``.
    """
    from nsa_core.data.pictures import read_pictures
    from nsa_core.detector.preset import size_of_files

    size = size_of_files(detector.get_params())
    return read_pictures(
        source, split=split, size=size, resize=detector.resize, on_broken=detector.on_broken
    )


def training_of(detector: "AnomalyDetector") -> tuple["Pictures | None", list[str]]:
    """The images that the detector was fit on, or a sentence that says why they are not there."""
    source = detector.notes_.get("source")
    if not isinstance(source, str):
        return None, ["The training images were not files, so the page cannot show them."]
    try:
        pictures = training_pictures(detector, source, detector.notes_.get("split"))
    except InputError as error:
        return None, [f"The training images cannot be shown: {error}."]
    if pictures.fingerprint != detector.fingerprint_:
        changed = "they have changed since the fit"
        return None, [f"The training images in {source} cannot be shown: {changed}."]
    return pictures, []


def _is_number_each(scores: object, count: int) -> bool:
    return (
        isinstance(scores, list)
        and len(scores) == count
        and all(isinstance(each, float) and math.isfinite(each) for each in scores)
    )


def most_suspect(
    detector: "AnomalyDetector", training: "Pictures", count: int
) -> tuple[list["Example"], str]:
    """The most suspect training images, and how they were ranked."""
    import numpy as np

    from nsa_core.detector.suspects import left_out_scores
    from studies.detect.judged import Example

    ranked_by, scores = BY_FOLDS, detector.notes_.get("suspects")
    if scores is not None and not _is_number_each(scores, len(training)):
        raise InputError("the detector's suspects are not a number an image; fit it again")
    if scores is None:
        ranked_by, scores = LEFT_OUT, left_out_scores(detector, training).scores
    rows = np.argsort(-np.asarray(scores), kind="stable")[:count]
    found = [
        Example(training.names[row], float(scores[row]), np.array(training.images[row]))
        for row in rows
    ]
    return found, ranked_by
