"""Networks: the encoder, the heads and the normalisations between them."""

from nsa_core.models.heads import Head, mlp
from nsa_core.models.norms import NormVariant, UnitNorm, unit_norm_if
from nsa_core.models.resnet import BLOCKS, STEMS, ResNet
from nsa_core.models.view_norm import ViewBatchNorm, separate_views

__all__ = [
    "BLOCKS",
    "STEMS",
    "Head",
    "NormVariant",
    "ResNet",
    "UnitNorm",
    "ViewBatchNorm",
    "mlp",
    "separate_views",
    "unit_norm_if",
]
