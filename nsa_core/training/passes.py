"""What scoring an image costs: how often it, or a copy of it, passes the encoder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.methods import Method
from nsa_core.training.embedding import embed
from nsa_core.training.own_scores import scores_of

_KNOWN = 64  # training images that own scores are fitted on here
_FEW, _MORE = 1, 3


def passes_per_image(
    method: Method, config: TrialConfig, split: OneClassSplit, device: torch.device
) -> dict[str, float]:
    """Passes of the encoder for an image, counted while a few training images are scored.

    "embedding" for all common scores; "method" for the method's own ones together, if it has any.
    """
    train = split.train_images[:_KNOWN]

    def own(images: npt.NDArray[np.uint8]) -> object:
        return scores_of(method, config, train, images, device)

    found = {"embedding": _slope(method, train, lambda images: embed(method, images, device))}
    if method.own_score_versions:
        found["method"] = _slope(method, train, own)
    return found


def _slope(
    method: Method,
    few: npt.NDArray[np.uint8],
    score: Callable[[npt.NDArray[np.uint8]], object],
) -> float:
    """By how much the rows that pass the encoder rise with each image."""
    counts = []
    for images in (_FEW, _MORE):
        with _counted(method.encoder) as rows:
            score(few[:images])
        counts.append(sum(rows))
    return (counts[1] - counts[0]) / (_MORE - _FEW)


@contextmanager
def _counted(encoder: nn.Module) -> Iterator[list[int]]:
    """A list that grows by the number of images at every pass of the encoder's first convolution,
    through which all of its ways lead.
    """
    rows: list[int] = []

    def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        rows.append(len(given[0]))

    first = next(each for each in encoder.modules() if isinstance(each, nn.Conv2d))
    handle = first.register_forward_pre_hook(note)
    try:
        yield rows
    finally:
        handle.remove()
