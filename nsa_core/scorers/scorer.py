"""What every scorer is: the protocol, and scikit-learn's estimator around it."""

from typing import Protocol, Self

from sklearn.base import BaseEstimator

from nsa_core.scorers.features import Features, Scores


class Scorer(Protocol):
    """Fits on features [n, d] and scores features [m, d]."""

    def fit(self, train_features: Features, y: object = None) -> Self: ...

    def score(self, features: Features) -> Scores: ...

    def leave_one_out(self) -> Scores:
        """Scores [n] of the training features themselves, none compared with itself."""
        ...


class FeatureScorer(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scorer that scikit-learn can clone, set up, search over and end a pipeline with.

    ``score`` is this field's, one number a row; scikit-learn's tools, which know it as one number
    in all, are to use ``score_samples``.
    """

    def score(self, features: Features) -> Scores:
        """Anomaly scores, float64 [m]; higher is more anomalous.

        Raises:
            NotFittedError: before ``fit``.
        """
        raise NotImplementedError

    def score_samples(self, features: Features) -> Scores:
        """Minus the scores, float64 [m]: as in scikit-learn, lower is more abnormal."""
        return -self.score(features)
