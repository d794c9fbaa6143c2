"""A detector for a person's own images: fitted, calibrated without labels, saved and loaded."""

from nsa_core.detector.detector import AnomalyDetector
from nsa_core.detector.withheld import CalibrationWarning

__all__ = ["AnomalyDetector", "CalibrationWarning"]
