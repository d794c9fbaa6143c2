"""Scores of many images, and the images of the highest and the lowest, in flat memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Example:
    """An image and what a detector says of it; ``image`` is uint8 [C, H, W]."""

    name: str
    score: float
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Judged:
    """All scores of a source, float64 [N], and its outermost images: worst first, best first."""

    scores: Scores
    worst: list[Example]
    best: list[Example]


def judged(batches: Iterable[Any], score: Callable[[Any], Scores], count: int) -> Judged:
    """Score batches of pictures one after the other, and keep ``count`` images at either end."""
    scores, worst, best = [], list[Example](), list[Example]()
    for batch in batches:
        found = score(batch)
        scores.append(found)
        worst = _outermost(worst, batch, found, count, sign=-1)
        best = _outermost(best, batch, found, count, sign=1)
    return Judged(np.concatenate(scores), worst, best)


def _outermost(
    kept: list[Example], batch: Any, scores: Scores, count: int, sign: int
) -> list[Example]:
    rows = np.argsort(sign * scores, kind="stable")[:count]
    new = [Example(batch.names[row], float(scores[row]), batch.images[row].copy()) for row in rows]
    return sorted(kept + new, key=lambda each: sign * each.score)[:count]
