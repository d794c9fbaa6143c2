"""Collapse measures: spread and effective rank."""

import math

import numpy as np
from torch import Tensor

from nsa_core.metrics.directions import Rows, library, unit_rows


def spread(features: Rows) -> float:
    """Mean standard deviation of the unit features' coordinates, times sqrt(d).

    About 1 for directions without a common mean, 0 when all rows point the same way: SimSiam's
    monitor of collapse (Chen & He 2021, figure 2), made independent of the dimension d.
    """
    unit = unit_rows(features)
    variance = ((unit - unit.mean(axis=0)) ** 2).mean(axis=0)
    return float(library(unit).sqrt(variance).mean() * math.sqrt(unit.shape[1]))


def effective_rank(features: Rows) -> float:
    """exp of the entropy of the normalised singular values of the centred unit features.

    In [1, min(N, d)] (Roy & Vetterli 2007); 0 when all rows are equal.
    """
    unit = unit_rows(features)
    centred = unit - unit.mean(axis=0)
    small = centred.T @ centred if unit.shape[1] <= len(unit) else centred @ centred.T
    found = library(unit).linalg.eigvalsh(small)
    squares = found.cpu().numpy() if isinstance(found, Tensor) else found
    noise = len(small) * np.finfo(np.float64).eps * squares[-1]
    values = np.sqrt(np.where(squares > noise, squares, 0))
    total = values.sum()
    if total <= 1e-12 * len(unit):
        return 0.0
    share = values[values > 0] / total
    return float(np.exp(-(share * np.log(share)).sum()))
