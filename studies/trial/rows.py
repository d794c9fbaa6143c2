"""One evaluation as rows of the store, and the artifacts of the last one."""

import io
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from nsa_core import Evaluation, ImageSet, OneClassSplit
from tracking.schema import EXTREMES, table_of

HEADLINE = "c-cos"
"""The score whose mistakes are kept as pictures."""

PASSES = ("passes", "own_passes")
"""Facts of a trial: how often an image passes the encoder for common scores, and for its own."""

_MOST = 12  # of a kind


def dynamics_row(evaluation: Evaluation) -> dict[str, Any]:
    """What is measured of a model at one epoch, without its scores."""
    signals, test, probes = evaluation.signals, evaluation.test, evaluation.probes
    row = {
        "epoch": evaluation.epoch,
        "step": evaluation.step,
        "loss": signals.loss,
        "collapsed": signals.collapsed,
        "held_out_auroc": signals.held_out_auroc,
        "train_seconds": evaluation.train_seconds,
        "evaluate_seconds": evaluation.evaluate_seconds,
        "images_per_second": evaluation.images_per_second,
    }
    for prefix, train_geometry, test_geometry in (
        ("", signals.embedding, test.embedding),
        ("projection_", signals.projection, test.projection),
    ):
        for name, value in asdict(train_geometry).items():
            row[f"{prefix}{name}_train"] = value
        for name, value in asdict(test_geometry).items():
            quantity, which = name.split("_")
            row[f"{prefix}{quantity}_test_{which}"] = value
    if probes is not None:
        row |= {
            "linear_probe": probes.linear,
            "knn_probe": probes.knn,
            "projection_linear_probe": probes.projection_linear,
            "projection_knn_probe": probes.projection_knn,
        }
    return row


def score_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row a layer and scorer."""
    return [
        {"layer": layer, "scorer": name, **asdict(ranking)}
        for (layer, name), ranking in evaluation.test.rankings.items()
    ]


def passes(evaluation: Evaluation) -> dict[str, float]:
    """What scoring a test image costs in passes of the encoder, as facts of the trial."""
    names = dict(zip(("embedding", "method"), PASSES, strict=True))
    return {names[layer]: count for layer, count in evaluation.test.passes.items()}


def test_scores(evaluation: Evaluation, split: OneClassSplit) -> pa.Table:
    """Scores of test images by scorer, of the embedding and of the method's own; other layers would
    fill the disk.
    """
    scores = {
        name: values
        for (layer, name), values in evaluation.test.scores.items()
        if layer in ("embedding", "method")
    }
    rows = np.arange(len(split.test_is_outlier))
    return pa.table({"row": rows, "is_outlier": split.test_is_outlier, **scores})


def extremes(evaluation: Evaluation, split: OneClassSplit, test: ImageSet) -> pa.Table:
    """The normal images that look most like outliers, and the outliers most like normals.

    ``test`` is the whole test split, in whose order the scores are.
    """
    scores = evaluation.test.scores["embedding", HEADLINE]
    outlier = split.test_is_outlier
    rows = []
    for kind, candidates, worst in (("false alarm", ~outlier, -scores), ("miss", outlier, scores)):
        order = np.flatnonzero(candidates)
        for rank, row in enumerate(order[np.argsort(worst[order], kind="stable")[:_MOST]]):
            rows.append(
                {
                    "kind": kind,
                    "rank": rank + 1,
                    "row": int(row),
                    "score": float(scores[row]),
                    "class_name": test.class_names[test.labels[row]],
                    "image": _png(test.images[row]),
                }
            )
    return table_of(rows, EXTREMES)


def _png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """uint8 [C, H, W] as an image file."""
    stream = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0).squeeze()).save(stream, "PNG")
    return stream.getvalue()
