"""The scorer protocol."""

from typing import Protocol, Self

from nsa_core.scorers.features import Features, Scores


class Scorer(Protocol):
    """Fits on features [n, d] and scores features [m, d]."""

    def fit(self, train_features: Features) -> Self: ...

    def score(self, features: Features) -> Scores: ...

    def leave_one_out(self) -> Scores:
        """Scores [n] of the training features themselves, none compared with itself."""
        ...
