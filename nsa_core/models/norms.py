"""The paper's idea: where the l2-normalisations sit (NSA, section 3)."""

import math
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


class NormScale(StrEnum):
    """The length of normalised vectors: 1, as the paper's formulas have it, or sqrt(d).

    The batch norms behind see the squares of their coordinates, 1/d or 1 on average: beside their
    epsilon the first is not large (METHODS, section 2.1).
    """

    ONE = "1"
    SQRT_D = "sqrt-d"


class UnitNorm(nn.Module):
    """x / ||x|| along the last dimension, in float32, with its gradient; times the scale."""

    def __init__(self, scale: NormScale = NormScale.ONE) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        unit = F.normalize(x.float(), dim=-1)
        return unit * math.sqrt(x.shape[-1]) if self.scale == NormScale.SQRT_D else unit


def unit_norm_if(wanted: bool, scale: NormScale = NormScale.ONE) -> nn.Module:
    """A UnitNorm, or nothing."""
    return UnitNorm(scale) if wanted else nn.Identity()
