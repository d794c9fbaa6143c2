"""A robust fit for polluted training features, without labels and without knowing the share."""

from collections.abc import Callable
from typing import Self

import numpy as np

from nsa_core.errors import InputError, whole
from nsa_core.scorers.features import Features, Scores
from nsa_core.scorers.scorer import Scorer


class Trimmed:
    """Fit, drop the training rows with the highest leave-one-out scores, fit again, repeat.

    With the Mahalanobis distance these are the concentration steps of FAST-MCD (Rousseeuw & Van
    Driessen 1999), started from all rows; with nearest neighbours, neighbours on the densest part.
    Each round chooses anew among all rows.

    Args:
        scorer: makes the scorer to be fit.
        keep: share of training rows that remain, in (0, 1].
        rounds: how often rows are chosen, at least 1.
    """

    def __init__(self, scorer: Callable[[], Scorer], keep: float = 0.8, rounds: int = 3) -> None:
        self.scorer = scorer
        self.keep = keep
        self.rounds = rounds

    def fit(self, train_features: Features) -> Self:
        """Fit on the rows [n, d] that the scorer itself finds normal."""
        if not 0 < self.keep <= 1:
            raise InputError(f"keep is {self.keep}; need a share in (0, 1]")
        whole("rounds", self.rounds, 1)
        count = max(1, round(self.keep * len(train_features)))
        self.scorer_ = self.scorer().fit(train_features)
        suspicion = self.scorer_.leave_one_out()
        for _ in range(self.rounds):
            kept = np.sort(np.argsort(suspicion, kind="stable")[:count])
            self.scorer_ = self.scorer().fit(train_features[kept])
            suspicion = self.scorer_.score(train_features)
            suspicion[kept] = self.scorer_.leave_one_out()
        self.kept_ = kept
        return self

    def score(self, features: Features) -> Scores:
        """Scores of the scorer fit on what remained."""
        return self.scorer_.score(features)

    def leave_one_out(self) -> Scores:
        """Scores of the training features that remained."""
        return self.scorer_.leave_one_out()
