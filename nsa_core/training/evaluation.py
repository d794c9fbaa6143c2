"""What is known of a model at one epoch: signals without labels, and apart from them the tests."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core import scorers
from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.methods import ENCODER_LAYERS, Method
from nsa_core.metrics import auroc, kappa, knn_probe, linear_probe, resultant_length
from nsa_core.scorers.layer_ensemble import sum_of_scaled
from nsa_core.training.embedding import embed
from nsa_core.training.signals import SPACES, Signals, measure_signals

ENSEMBLES = {
    "c-cos": (("c-cos",), "quantile"),
    "c-cos-robust": (("c-cos-robust",), "quantile"),
    "k-cos": (("k-cos",), "quantile"),
    "k-cos-literal-c-cos": (("k-cos-literal", "c-cos"), "min-max"),
}
"""Scores of the layer "ensemble": what each encoder layer adds to the sum, and on which scale."""


@dataclass(frozen=True, slots=True)
class TestGeometry:
    """How the test features of one space lie on the sphere.

    Attributes:
        kappa_normal, kappa_outlier: vMF concentration; their numbers of images differ.
        resultant_normal, resultant_outlier: mean resultant length.
    """

    __test__ = False  # not a test case

    kappa_normal: float
    kappa_outlier: float
    resultant_normal: float
    resultant_outlier: float


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """What needs the test images and their flags; nothing that selects may see it.

    Attributes:
        embedding, projection: geometry of the test features.
        scores: (layer, scorer) to float64 [m], higher is more anomalous.
        auroc: (layer, scorer) to a number in [0, 1].
    """

    __test__ = False  # not a test case

    embedding: TestGeometry
    projection: TestGeometry
    scores: dict[tuple[str, str], npt.NDArray[np.float64]]
    auroc: dict[tuple[str, str], float]


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
        epoch: epochs trained, from 1.
        step: optimiser steps trained.
        total_steps: of the whole training; equal to ``step`` at the end.
        signals: of the training split; what selects may read these.
        test: of the test split, with its labels.
        probes: with the labels of all classes; None if the split has no labelled images.
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


def evaluate(
    method: Method,
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    loss: float,
    step: int,
) -> tuple[Signals, TestResult, Probes | None]:
    """Embed training and test images without augmentation and measure them."""
    train = embed(method, split.train_images, device)
    test = embed(method, split.test_images, device)
    signals = measure_signals(method, config, split.train_images, split.held_out, train, loss, step)
    scores = score_layers(train, test, config.layers)
    result = TestResult(
        **{name: _test_geometry(test[name], split.test_is_outlier) for name in SPACES},
        scores=scores,
        auroc={name: auroc(values, split.test_is_outlier) for name, values in scores.items()},
    )
    return signals, result, _probe(method, split, device, test)


def score_layers(
    train: Mapping[str, Tensor], test: Mapping[str, Tensor], layers: tuple[str, ...]
) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Every score of every layer asked for, and the ensembles if all encoder layers are."""
    scores, scaled = {}, {}
    for layer in layers:
        for name in scorers.available():
            scorer = scorers.build(name).fit(train[layer])
            scores[layer, name] = scorer.score(test[layer])
            if layer in ENCODER_LAYERS and any(name in parts for parts, _ in ENSEMBLES.values()):
                scaled[layer, name] = scorer.leave_one_out(), scores[layer, name]
    if set(ENCODER_LAYERS) <= set(layers):
        for name, (parts, scale) in ENSEMBLES.items():
            pairs = [scaled[layer, part] for layer in ENCODER_LAYERS for part in parts]
            scores["ensemble", name] = sum_of_scaled(pairs, scale)
    return scores


def _test_geometry(features: Tensor, is_outlier: npt.NDArray[np.bool_]) -> TestGeometry:
    rows = features.cpu().numpy()
    normal, outlier = rows[~is_outlier], rows[is_outlier]
    return TestGeometry(
        kappa_normal=kappa(normal),
        kappa_outlier=kappa(outlier),
        resultant_normal=resultant_length(normal),
        resultant_outlier=resultant_length(outlier),
    )


def _probe(
    method: Method,
    split: OneClassSplit,
    device: torch.device,
    test: Mapping[str, Tensor],
) -> Probes | None:
    labelled = split.labelled
    if labelled is None:
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
