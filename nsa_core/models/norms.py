"""The paper's idea: where the l2-normalisations sit (NSA, section 3)."""

from enum import StrEnum

import torch.nn.functional as F
from torch import Tensor, nn


class NormVariant(StrEnum):
    """none; f: on the embedding, before the projector; g: before the predictor; both."""

    NONE = "none"
    F = "f"
    G = "g"
    BOTH = "both"

    @property
    def on_embedding(self) -> bool:
        """Is the projector's input f(x) / ||f(x)||?"""
        return self in (NormVariant.F, NormVariant.BOTH)

    @property
    def on_projection(self) -> bool:
        """Is the predictor's input g(y) / ||g(y)||?"""
        return self in (NormVariant.G, NormVariant.BOTH)


class UnitNorm(nn.Module):
    """x / ||x|| along the last dimension, in float32, with its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x.float(), dim=-1)


def unit_norm_if(wanted: bool) -> nn.Module:
    """A UnitNorm, or nothing."""
    return UnitNorm() if wanted else nn.Identity()
