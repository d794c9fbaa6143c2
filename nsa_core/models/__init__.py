"""Networks: the encoder, the heads and the normalisations between them."""

from nsa_core.models.heads import Head, mlp
from nsa_core.models.norms import NormVariant, UnitNorm, unit_norm_if
from nsa_core.models.resnet import BLOCKS, STEMS, ResNet

__all__ = ["BLOCKS", "STEMS", "Head", "NormVariant", "ResNet", "UnitNorm", "mlp", "unit_norm_if"]
