"""Anomaly scores of features: fit on training features, score others, higher is more anomalous."""

from collections.abc import Callable

from nsa_core.errors import unknown
from nsa_core.scorers.c_cos import CCos
from nsa_core.scorers.cosine_knn import CosineKNN
from nsa_core.scorers.features import Features, Scores
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
    "CCos",
    "CosineKNN",
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


def available() -> list[str]:
    """Names of the scorers, each with its default settings."""
    return sorted(_SCORERS)


def build(name: str) -> Scorer:
    """A fresh scorer by name; an unknown name is an InputError."""
    if name not in _SCORERS:
        raise unknown("scorer", name, _SCORERS)
    return _SCORERS[name]()
