"""Numbers that describe scores and features."""

from nsa_core.metrics.auroc import auroc
from nsa_core.metrics.kappa import kappa, kappa_from_resultant
from nsa_core.metrics.spread import effective_rank, spread

__all__ = ["auroc", "effective_rank", "kappa", "kappa_from_resultant", "spread"]
