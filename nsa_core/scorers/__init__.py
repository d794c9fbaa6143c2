"""Anomaly scores of features: fit on training features, score others, higher is more anomalous."""

from collections.abc import Callable

from nsa_core.errors import unknown
from nsa_core.scorers.c_cos import CCos
from nsa_core.scorers.cosine_knn import CosineKNN
from nsa_core.scorers.features import Features, FeatureSet, Scores
from nsa_core.scorers.gaussian_density import GaussianDensity
from nsa_core.scorers.k_cos import KCos
from nsa_core.scorers.kernel_density import KDE
from nsa_core.scorers.layer_ensemble import LayerEnsemble
from nsa_core.scorers.mahalanobis import Mahalanobis
from nsa_core.scorers.nearest_mahalanobis import NearestMahalanobis
from nsa_core.scorers.one_class_svm import OneClassSVM
from nsa_core.scorers.scorer import Scorer

__all__ = [
    "KDE",
    "SLOW",
    "CCos",
    "CosineKNN",
    "FeatureSet",
    "Features",
    "GaussianDensity",
    "KCos",
    "LayerEnsemble",
    "Mahalanobis",
    "NearestMahalanobis",
    "OneClassSVM",
    "Scorer",
    "Scores",
    "available",
    "build",
    "version",
]

_SCORERS: dict[str, Callable[[], Scorer]] = {
    "c-cos": CCos,
    "c-cos-raw": lambda: CCos(normalize=False),
    "c-cos-robust": lambda: CCos(covariance="student-t"),
    "cosine-knn": CosineKNN,
    "gaussian-density": GaussianDensity,
    "k-cos": KCos,
    "k-cos-literal": lambda: KCos(center=True, covariance="empirical"),
    "kde": KDE,
    "mahalanobis": Mahalanobis,
    "nearest-mahalanobis": NearestMahalanobis,
    "oc-svm": OneClassSVM,
}

SLOW = ("oc-svm",)
"""Names of those that a host solves for, in seconds: recorded at the last evaluation of a training,
and at the others only if asked for.
"""

_VERSIONS = {"c-cos": 2, "k-cos": 2, "mahalanobis": 2, "nearest-mahalanobis": 2}
"""Of the definition behind a name, raised when its scores change by more than rounding; 1 for the
others. Version 1 of these four took the empirical covariance, and k-cos the angle around the mean.
"""


def available() -> list[str]:
    """Names of the scorers, each with its default settings."""
    return sorted(_SCORERS)


def build(name: str) -> Scorer:
    """A fresh scorer by name; an unknown name is an InputError."""
    if name not in _SCORERS:
        raise unknown("scorer", name, _SCORERS)
    return _SCORERS[name]()


def version(name: str) -> int:
    """Of the definition behind a name, from 1: only scores of one version are compared."""
    return _VERSIONS.get(name, 1)
