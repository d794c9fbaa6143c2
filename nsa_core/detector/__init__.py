"""A detector for a person's own images: fitted, calibrated without labels, saved and loaded."""

from nsa_core.detector.detector import AnomalyDetector, CalibrationWarning

__all__ = ["AnomalyDetector", "CalibrationWarning"]
