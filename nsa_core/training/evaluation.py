"""Evaluation of a model at one epoch: label-free signals, kept apart from test results."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core import scorers
from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.methods import Method
from nsa_core.metrics import (
    Ranking,
    kappa_from_resultant,
    knn_probe,
    linear_probe,
    ranking,
    resultant_length,
)
from nsa_core.metrics.directions import measured
from nsa_core.training.embedding import embed
from nsa_core.training.own_scores import own_scores
from nsa_core.training.passes import passes_per_image
from nsa_core.training.precision import true_float32
from nsa_core.training.scores import fast_and, score_layers
from nsa_core.training.signals import SPACES, Signals, measure_signals


@dataclass(frozen=True, slots=True)
class TestGeometry:
    """How the test features of one space lie on the sphere; None of a kind without an image.

    Attributes:
        kappa_normal, kappa_outlier: vMF concentration; their numbers of images differ.
        resultant_normal, resultant_outlier: mean resultant length.
    """

    __test__ = False  # not a test case

    kappa_normal: float | None = None
    kappa_outlier: float | None = None
    resultant_normal: float | None = None
    resultant_outlier: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """Results on the test split; nothing that selects may read them.

    Attributes:
        embedding, projection: geometry of the test features.
        scores: (layer, scorer) to float64 [m], higher is more anomalous; a method's own are on the
            layer "method". Empty without test images.
        rankings: (layer, scorer) to AUROC, AUPRC and FPR95. Empty unless the test images are of
            both kinds.
        passes: at the last evaluation, how often an image passes the encoder for its scores, by
            "embedding" (all common ones) and "method" (the method's own).
    """

    __test__ = False  # not a test case

    embedding: TestGeometry
    projection: TestGeometry
    scores: dict[tuple[str, str], npt.NDArray[np.float64]]
    rankings: dict[tuple[str, str], Ranking]
    passes: dict[str, float]

    @property
    def auroc(self) -> dict[tuple[str, str], float]:
        """(layer, scorer) to AUROC in [0, 1]."""
        return {name: each.auroc for name, each in self.rankings.items()}


@dataclass(frozen=True, slots=True)
class Probes:
    """Accuracy of classifiers of all classes on frozen features, in [0, 1]; for analysis alone.

    Attributes:
        linear, projection_linear: of a linear probe on embeddings, on projections.
        knn, projection_knn: of the weighted k-NN.
    """

    linear: float
    knn: float
    projection_linear: float
    projection_knn: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One evaluated epoch.

    Attributes:
        epoch: epochs trained, from 1; 0 for a method that trains nothing.
        step: optimiser steps trained.
        total_steps: of the whole training; equal to ``step`` at the end.
        signals: of the training split; what selects may read these.
        test: of the test split, with its labels.
        probes: with the labels of all classes; None if the split has no labelled images, or no
            test images.
        train_seconds: time spent training since the previous evaluation.
        images_per_second: training images (not views) a second in that time.
        evaluate_seconds: time this evaluation took.
    """

    epoch: int
    step: int
    total_steps: int
    signals: Signals
    test: TestResult
    probes: Probes | None
    train_seconds: float
    images_per_second: float
    evaluate_seconds: float

    @property
    def share(self) -> float:
        """How much of the training is done, in (0, 1]."""
        return self.step / self.total_steps if self.total_steps else 1.0


def evaluate(
    method: Method,
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    loss: float | None,
    step: int,
    last: bool,
) -> tuple[Signals, TestResult, Probes | None]:
    """Embed training and test images without augmentation and measure them, in true float32.

    ``last`` says that no other evaluation follows: the time for scores that are expensive.
    """
    with true_float32(device):
        train = embed(method, split.train_images, device)
        signals = measure_signals(
            method, config, split.train_images, split.held_out, train, loss, step
        )
        test = embed(method, split.test_images, device) if len(split.test_images) else {}
        names = fast_and(scorers.SLOW if last else config.slow_scores)
        scores = score_layers(train, test, config.layers, names)
        scores |= own_scores(method, config, split, device, last)
        probes = _probe(method, split, device, test)
        passes = passes_per_image(method, config, split, device) if last else {}
    outlier = split.test_is_outlier
    ranked = scores if outlier.any() and not outlier.all() else {}
    result = TestResult(
        **{name: test_geometry(test[name], outlier) if test else TestGeometry() for name in SPACES},
        scores=scores,
        rankings={name: ranking(each, outlier) for name, each in ranked.items()},
        passes=passes,
    )
    return signals, result, probes


def test_geometry(features: Tensor, is_outlier: npt.NDArray[np.bool_]) -> TestGeometry:
    """Of test features [m, d], from flags bool [m]."""
    found: dict[str, float] = {}
    for name, kind in (("normal", ~is_outlier), ("outlier", is_outlier)):
        if kind.any():
            index = torch.as_tensor(np.flatnonzero(kind), device=features.device)
            length = resultant_length(measured(features[index]))
            found[f"kappa_{name}"] = kappa_from_resultant(length, features.shape[1])
            found[f"resultant_{name}"] = length
    return TestGeometry(**found)


def _probe(
    method: Method,
    split: OneClassSplit,
    device: torch.device,
    test: Mapping[str, Tensor],
) -> Probes | None:
    labelled = split.labelled
    if labelled is None or not test:
        return None
    train = embed(method, labelled.train_images, device)
    accuracy = {
        (space, probe): probe(
            train[space], labelled.train_labels, test[space], labelled.test_labels
        )
        for space in SPACES
        for probe in (linear_probe, knn_probe)
    }
    return Probes(
        linear=accuracy["embedding", linear_probe],
        knn=accuracy["embedding", knn_probe],
        projection_linear=accuracy["projection", linear_probe],
        projection_knn=accuracy["projection", knn_probe],
    )
