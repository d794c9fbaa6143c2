"""What is measured of a detector's scores, with intervals over groups that are not independent."""

from collections.abc import Callable, Sequence

import numpy as np

LEVEL = 0.95

Draws = list[np.ndarray]
Measure = Callable[[np.ndarray], float]


def resamples(group: np.ndarray, outlier: np.ndarray, draws: int) -> Draws:
    """Rows of bootstrap samples: whole groups drawn with replacement, with both kinds in each."""
    random = np.random.default_rng(0)
    names, inverse = np.unique(group, return_inverse=True)
    members = [np.flatnonzero(inverse == index) for index in range(len(names))]
    found: Draws = []
    while len(found) < draws:
        chosen = random.integers(len(names), size=len(names))
        rows = np.concatenate([members[index] for index in chosen])
        if outlier[rows].any() and not outlier[rows].all():
            found.append(rows)
    return found


def interval(measure: Measure, draws: Draws) -> tuple[float, float]:
    """The middle ``LEVEL`` of a measure of rows."""
    values = [measure(rows) for rows in draws]
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def percent(value: float, between: Sequence[float] = ()) -> str:
    """For instance ``94.2 (91.0–96.8)``."""
    text = f"{100 * value:.1f}"
    return text + (f" ({'–'.join(f'{100 * each:.1f}' for each in between)})" if between else "")


def points(value: float, between: Sequence[float]) -> str:
    """A difference in points, for instance ``+1.3 (-0.4 to +3.0)``."""
    return f"{100 * value:+.1f} ({' to '.join(f'{100 * each:+.1f}' for each in between)})"
