"""The threshold of a trial's detector: of what it withheld, or else of its training images."""

import numpy as np
import pytest
import torch

from nsa_core import TrialConfig, load_splits, one_class_split
from nsa_core.scorers import CCos
from nsa_core.training import build_method, embed
from studies.trial.detector import _threshold

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("held_out", "calibrated_by"),
    [
        (0.2, "withheld images"),
        (0.1, "training images, left out"),  # 12 of 129 cannot promise 5 %
        (0.0, "training images, left out"),
    ],
)
def test_at_most_5_percent_of_the_calibration_images_are_above_it(held_out, calibrated_by):
    split = one_class_split(*load_splits("digits"), 3, held_out=held_out)
    method = build_method(TrialConfig(width=8, depth=10))
    scorer = CCos().fit(embed(method, split.train_images, CPU)["embedding"])
    threshold, found = _threshold(method, scorer, split)
    assert found == calibrated_by
    scores = scorer.leave_one_out()
    if found == "withheld images":
        withheld = split.held_out.images[: len(split.held_out.images) // 2]  # the normals
        scores = scorer.score(embed(method, withheld, CPU)["embedding"])
    above = np.sort(scores)[::-1]
    allowed = int(0.05 * (len(scores) + 1))
    assert threshold == above[allowed - 1]
