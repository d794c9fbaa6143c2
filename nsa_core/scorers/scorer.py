"""What every scorer is."""

from typing import Protocol, Self

from nsa_core.scorers.features import Features, Scores


class Scorer(Protocol):
    """Anything that can be fit on features [n, d] and gives a score for each of [m, d]."""

    def fit(self, train_features: Features) -> Self: ...

    def score(self, features: Features) -> Scores: ...

    def leave_one_out(self) -> Scores:
        """Scores [n] of the training features themselves, none compared with itself."""
        ...
