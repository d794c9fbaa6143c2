"""Numbers that describe scores and features."""

from nsa_core.metrics.alignment import alignment
from nsa_core.metrics.auroc import auroc
from nsa_core.metrics.kappa import kappa, kappa_from_resultant, resultant_length
from nsa_core.metrics.mmd import mmd_to_uniform, uniform_kernel, uniformity
from nsa_core.metrics.pixel_auroc import pixel_auroc
from nsa_core.metrics.probe import knn_probe, linear_probe
from nsa_core.metrics.ranking import Ranking, auprc, fpr_at_recall, ranking
from nsa_core.metrics.spread import effective_rank, spread

__all__ = [
    "Ranking",
    "alignment",
    "auprc",
    "auroc",
    "effective_rank",
    "fpr_at_recall",
    "kappa",
    "kappa_from_resultant",
    "knn_probe",
    "linear_probe",
    "mmd_to_uniform",
    "pixel_auroc",
    "ranking",
    "resultant_length",
    "spread",
    "uniform_kernel",
    "uniformity",
]
