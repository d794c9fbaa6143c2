"""Networks: the encoder, the heads and the normalisations between them."""

from nsa_core.models.backbone import (
    Backbone,
    backbone_file,
    blank_backbone,
    check_backbone,
    load_backbone,
)
from nsa_core.models.encoder import Encoder
from nsa_core.models.heads import Head, mlp
from nsa_core.models.norms import NormScale, NormVariant, UnitNorm, unit_norm_if
from nsa_core.models.resnet import BLOCKS, STEMS, ResNet
from nsa_core.models.view_norm import ViewBatchNorm, separate_views
from nsa_core.models.weights import weights_digest

__all__ = [
    "BLOCKS",
    "STEMS",
    "Backbone",
    "Encoder",
    "Head",
    "NormScale",
    "NormVariant",
    "ResNet",
    "UnitNorm",
    "ViewBatchNorm",
    "backbone_file",
    "blank_backbone",
    "check_backbone",
    "load_backbone",
    "mlp",
    "separate_views",
    "unit_norm_if",
    "weights_digest",
]
