"""Self-supervised methods by name."""

from nsa_core.methods.byol import BYOL
from nsa_core.methods.csi import CSI
from nsa_core.methods.droc import DROC
from nsa_core.methods.firm import FIRM
from nsa_core.methods.goad import GOAD
from nsa_core.methods.mean_shifted import MeanShifted
from nsa_core.methods.method import ENCODER_LAYERS, LAYERS, Augment, Method
from nsa_core.methods.panda import PANDA
from nsa_core.methods.pretrained import Frozen
from nsa_core.methods.registry import (
    Option,
    available,
    build,
    check_norm,
    checked_options,
    has_backbone,
    instances,
    norms,
    options,
    own_score_versions,
    recipe,
    trains,
)
from nsa_core.methods.rotnet import RotNet
from nsa_core.methods.simclr import SimCLR
from nsa_core.methods.simclr_shifted import ShiftedSimCLR
from nsa_core.methods.simsiam import SimSiam
from nsa_core.methods.stoc import STOC
from nsa_core.methods.unicon_ha import UniConHA

__all__ = [
    "BYOL",
    "CSI",
    "DROC",
    "ENCODER_LAYERS",
    "FIRM",
    "GOAD",
    "LAYERS",
    "PANDA",
    "STOC",
    "Augment",
    "Frozen",
    "MeanShifted",
    "Method",
    "Option",
    "RotNet",
    "ShiftedSimCLR",
    "SimCLR",
    "SimSiam",
    "UniConHA",
    "available",
    "build",
    "check_norm",
    "checked_options",
    "has_backbone",
    "instances",
    "norms",
    "options",
    "own_score_versions",
    "recipe",
    "trains",
]
