"""The parts of one evaluation on random images, each as a function to time."""

from collections.abc import Callable

import numpy as np
import torch
from hardware import random_images
from torch import Tensor

from nsa_core import TrialConfig
from nsa_core.metrics import knn_probe, linear_probe, ranking
from nsa_core.training import build_method, embed, score_layers
from nsa_core.training.evaluation import test_geometry
from nsa_core.training.scores import fast_and
from nsa_core.training.signals import SPACES, measure_signals

MEASURES = ("signals", "test geometry", "fast scores", "rankings")
"""What follows the embedding of images at every evaluation."""


def evaluation_parts(
    config: TrialConfig,
    device: torch.device,
    counts: dict[str, int],
    size: int,
) -> dict[str, Callable[[], object]]:
    """By name, to be called in this order; ``counts`` of "train", "test" and "labelled" images.

    A ninth of the test images are normal. The network is as initialised.
    """
    method = build_method(config).to(device)
    images = {name: random_images(count, size).numpy() for name, count in counts.items()}
    features: dict[str, dict[str, Tensor]] = {}
    scores: dict[tuple[str, str], np.ndarray] = {}
    is_outlier = np.arange(counts["test"]) % 10 > 0

    def embedding(name: str) -> Callable[[], object]:
        return lambda: features.update({name: embed(method, images[name], device)})

    def score(*names: str) -> object:
        return score_layers(features["train"], features["test"], config.layers, names)

    def signals() -> object:
        given = features["train"]
        return measure_signals(method, config, images["train"], None, given, 0.0, 100)

    parts: dict[str, Callable[[], object]] = {
        **{f"embed {name} images": embedding(name) for name in counts},
        "signals": signals,
        "test geometry": lambda: [
            test_geometry(features["test"][space], is_outlier) for space in SPACES
        ],
        "fast scores": lambda: scores.update(score(*fast_and(()))),  # type: ignore[call-overload]
        "rankings": lambda: [ranking(each, is_outlier) for each in scores.values()],
        "oc-svm": lambda: score("oc-svm"),
    }
    if "labelled" in counts:
        parts["probes"] = lambda: _probes(features["labelled"], features["test"])
    return parts


def _probes(train: dict[str, Tensor], test: dict[str, Tensor]) -> None:
    for space in SPACES:
        labels = [np.arange(len(each[space])) % 10 for each in (train, test)]
        for probe in (linear_probe, knn_probe):
            probe(train[space], labels[0], test[space], labels[1])
