"""Numbers that describe scores and features."""

from nsa_core.metrics.auroc import auroc
from nsa_core.metrics.kappa import kappa, kappa_from_resultant
from nsa_core.metrics.ranking import auprc, fpr_at_recall
from nsa_core.metrics.spread import effective_rank, spread

__all__ = [
    "auprc",
    "auroc",
    "effective_rank",
    "fpr_at_recall",
    "kappa",
    "kappa_from_resultant",
    "spread",
]
