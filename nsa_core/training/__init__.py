"""Training, its schedule, its checkpoints and its evaluations."""

from nsa_core.training.build import build_method
from nsa_core.training.checkpoint import UnusableCheckpointError
from nsa_core.training.embedding import embed
from nsa_core.training.evaluation import Evaluation, Probes, TestResult
from nsa_core.training.precision import best_precision
from nsa_core.training.schedule import Schedule, log_spaced, plan
from nsa_core.training.scores import score_layers, score_versions
from nsa_core.training.signals import Geometry, Signals
from nsa_core.training.train import Pulse, train

__all__ = [
    "Evaluation",
    "Geometry",
    "Probes",
    "Pulse",
    "Schedule",
    "Signals",
    "TestResult",
    "UnusableCheckpointError",
    "best_precision",
    "build_method",
    "embed",
    "log_spaced",
    "plan",
    "score_layers",
    "score_versions",
    "train",
]
