"""Extremes that are kept batch by batch, against sorting everything."""

import numpy as np

from nsa_core.detector.images import Given
from studies.detect.judged import judged


def test_extremes_of_batches_are_those_of_all():
    stream = np.random.default_rng(0)
    images = stream.integers(0, 256, (50, 1, 2, 2), dtype=np.uint8)
    scores = stream.normal(size=50)
    batches = [
        Given(images[rows], tuple(map(str, rows)), "") for rows in np.split(np.arange(50), [7, 20])
    ]
    found = judged(batches, lambda batch: scores[np.array(batch.names, dtype=int)], 5)
    order = np.argsort(scores)
    assert found.scores.tolist() == scores.tolist()
    for kept, rows in ((found.best, order[:5]), (found.worst, order[::-1][:5])):
        assert [each.name for each in kept] == [str(row) for row in rows]
        for each, row in zip(kept, rows, strict=True):
            assert each.score == scores[row]
            assert (each.image == images[row]).all()
