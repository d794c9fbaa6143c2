"""One small detector for many tests, trained on the digit 0."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nsa_core import AnomalyDetector


@pytest.fixture(scope="session")
def digit_images():
    """Uint8 images [N, 16, 16] of the digit 0, and of all others."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    images = images.repeat(2, axis=1).repeat(2, axis=2)
    return images[labels == 0], images[labels != 0]


@pytest.fixture(scope="session")
def small():
    """Parameters of a training that takes seconds."""
    return {"width": 8, "epochs": 8, "method_options": {"projector_dim": 64, "predictor_dim": 32}}


@pytest.fixture(scope="session")
def fitted(digit_images, small) -> AnomalyDetector:
    """Fitted on 125 images, 25 of them withheld; not to be changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return AnomalyDetector(**small, seed=1).fit(digit_images[0][:125])
