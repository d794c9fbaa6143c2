"""A method's own test-time scores, where it has any, at an evaluation."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.methods import Method
from nsa_core.seeds import generator
from nsa_core.training.precision import true_float32


def own_scores(
    method: Method, config: TrialConfig, split: OneClassSplit, device: torch.device, last: bool
) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Scores of the test images, float64 [m], by ("method", name); higher is more anomalous.

    Empty for a method without any, before the ``last`` evaluation for one whose scores are
    expensive, and without test images. Random draws are those of the trial's stream "own scores",
    anew at every evaluation.
    """
    if not method.own_score_versions or (method.scores_at_the_end and not last):
        return {}
    if not len(split.test_images):
        return {}
    found = scores_of(method, config, split.train_images, split.test_images, device)
    return {("method", name): each.double().cpu().numpy() for name, each in found.items()}


def scores_of(
    method: Method,
    config: TrialConfig,
    train: npt.NDArray[np.uint8],
    test: npt.NDArray[np.uint8],
    device: torch.device,
) -> dict[str, Tensor]:
    """The method's own scores of uint8 images [M, C, H, W], each [M], by name."""
    stream = generator(device, config.seed, "own scores")
    method.eval()
    with torch.inference_mode(), true_float32(device):
        return method.own_scores(_on(device, train), _on(device, test), config.augment, stream)


def _on(device: torch.device, images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.tensor(np.ascontiguousarray(images), device=device)
