"""The science: data, views, networks, methods, norm variants, scores, metrics, training."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nsa_core.config import TrialConfig
    from nsa_core.data import (
        ImageSet,
        OneClassSplit,
        class_index,
        load_images,
        load_splits,
        one_class_split,
    )
    from nsa_core.detector import AnomalyDetector
    from nsa_core.errors import DivergedError, InputError
    from nsa_core.metrics import auroc, kappa, kappa_from_resultant, mmd_to_uniform
    from nsa_core.models import NormVariant
    from nsa_core.training import Evaluation
    from nsa_core.training.train import train

__version__ = "0.1.0"

__all__ = [
    "AnomalyDetector",
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
    "load_splits",
    "mmd_to_uniform",
    "one_class_split",
    "train",
]

_HOMES = {
    "config": ("TrialConfig",),
    "data": (
        "ImageSet",
        "OneClassSplit",
        "class_index",
        "load_images",
        "load_splits",
        "one_class_split",
    ),
    "detector": ("AnomalyDetector",),
    "errors": ("DivergedError", "InputError"),
    "metrics": ("auroc", "kappa", "kappa_from_resultant", "mmd_to_uniform"),
    "models": ("NormVariant",),
    "training": ("Evaluation", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: torch takes seconds, ``--help`` must not."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"nsa_core.{home}"), name)
    raise AttributeError(f"module 'nsa_core' has no attribute {name!r}")
