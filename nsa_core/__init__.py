"""The science: data, views, networks, methods, norm variants, scores, metrics, training."""

from nsa_core.config import TrialConfig
from nsa_core.data import ImageSet, OneClassSplit, class_index, load_images, one_class_split
from nsa_core.errors import DivergedError, InputError
from nsa_core.metrics import auroc, kappa, kappa_from_resultant, mmd_to_uniform
from nsa_core.models import NormVariant
from nsa_core.training import Evaluation, train

__version__ = "0.1.0"

__all__ = [
    "DivergedError",
    "Evaluation",
    "ImageSet",
    "InputError",
    "NormVariant",
    "OneClassSplit",
    "TrialConfig",
    "auroc",
    "class_index",
    "kappa",
    "kappa_from_resultant",
    "load_images",
    "mmd_to_uniform",
    "one_class_split",
    "train",
]
