"""Anomaly scores of features: fit on training features, score others, higher is more anomalous."""

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from nsa_core.errors import unknown
from nsa_core.scorers.c_cos import CCos
from nsa_core.scorers.cosine_knn import CosineKNN
from nsa_core.scorers.features import Features
from nsa_core.scorers.k_cos import KCos
from nsa_core.scorers.mahalanobis import Mahalanobis

__all__ = ["CCos", "CosineKNN", "Features", "KCos", "Mahalanobis", "Scorer", "available", "build"]


class Scorer(Protocol):
    """Anything that can be fit on features [n, d] and gives a score for each of [m, d]."""

    def fit(self, train_features: Features) -> Self: ...

    def score(self, features: Features) -> npt.NDArray[np.float64]: ...


_SCORERS: dict[str, Callable[[], Scorer]] = {
    "c-cos": CCos,
    "cosine-knn": CosineKNN,
    "k-cos": KCos,
    "k-cos-uncentred": lambda: KCos(center=False),
    "mahalanobis": Mahalanobis,
}


def available() -> list[str]:
    """Names of the scorers, each with its default settings."""
    return sorted(_SCORERS)


def build(name: str) -> Scorer:
    """A fresh scorer by name; an unknown name is an InputError."""
    if name not in _SCORERS:
        raise unknown("scorer", name, _SCORERS)
    return _SCORERS[name]()
