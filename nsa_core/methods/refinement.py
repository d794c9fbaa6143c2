"""Data refinement (Yoon et al. 2022): several one-class models vote training images out."""

from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from nsa_core import scorers
from nsa_core.errors import InputError
from nsa_core.scorers import Scorer


class OneClass(StrEnum):
    """The one-class model: one Gaussian, or a kernel density, both as DROC's."""

    GDE = "gde"
    KDE = "kde"

    def build(self) -> Scorer:
        """A fresh one."""
        return scorers.build({"gde": "gaussian-density", "kde": "kde"}[self.value])


def refine(features: Tensor, subsets: int, outlier_share: float, one_class: OneClass) -> Tensor:
    """Which training images to keep: bool [N] on the CPU, of their features [N, d].

    K models are fitted, each on every K-th image; each then flags ``outlier_share`` of all images,
    those with the highest scores. An image that any of them flags is dropped: between that share
    and K times it, at worst all.

    Raises:
        InputError: fewer images than subsets.
    """
    check_subsets(subsets, len(features))
    flagged = np.zeros(len(features), dtype=np.bool_)
    for first in range(subsets):
        scores = one_class.build().fit(features[first::subsets]).score(features)
        flagged |= scores > np.quantile(scores, 1 - outlier_share)
    return torch.from_numpy(~flagged)


def check_subsets(subsets: int, images: int) -> None:
    """Refuse more subsets than training images."""
    if subsets > images:
        raise InputError(f"subsets is {subsets}, above the {images} training images; use fewer")
