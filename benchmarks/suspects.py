"""Suspects among training images: folds and left-out rows, beside pyod and cleanlab.

    python benchmarks/suspects.py --data-root DIR

Fashion-MNIST is read from where Debian puts it. DIR holds ``elpv128-train.parquet`` (solar cells)
and ``magnetic-tile96-all.parquet``; one that is absent is named and left out, and so are peers that
are not installed. Beside the packages of this project they need

    pip install --target /tmp/peers --no-deps pyod cleanlab termcolor numba llvmlite

and PYTHONPATH=/tmp/peers. Training sets are polluted with images of other classes, or with real
defects. Every way sees the images alone: neither labels nor the share of outliers.
"""

import argparse
import importlib
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from hardware import Spread, describe, markdown_table

from nsa_core import load_images, scorers
from nsa_core.detector import AnomalyDetector
from nsa_core.detector.folds import fold_rows
from nsa_core.detector.suspects import in_quartile_ranges, judge_folds, left_out_scores
from nsa_core.metrics import auprc

OUTPUT = Path(__file__).parent / "results" / "suspects.md"
SHARES = (0.02, 0.05, 0.1)
FOLDS = 5
SCRATCH = {"width": 8, "image_size": 16, "batch_size": 32, "calibration": 0.0, "device": "cpu"}
LITE = {"backbone": "efficientnet_lite0", "image_size": 128, "calibration": 0.0, "device": "cpu"}
REAL = {
    "solar cells": ("elpv128-train.parquet", 0, (3,)),
    "magnetic tiles": ("magnetic-tile96-all.parquet", 4, (0, 1, 2, 3, 5)),
}
"""A file, its label of normals, and those of defects."""
PEERS = (("iforest", "IForest"), ("knn", "KNN"), ("ecod", "ECOD"))

Scores = dict[str, np.ndarray]
Found = Iterator[tuple[float, Scores, np.ndarray]]
"""A share, scores of every way, and which images are outliers."""


def polluted(normal: np.ndarray, odd: np.ndarray, count: int, share: float, draw: int):
    """Rows in any order, a share of them outliers; those of a smaller share are among them."""
    stream = np.random.default_rng(draw)
    wanted = round(count * share)
    normals = stream.permutation(np.flatnonzero(normal))[: count - wanted]
    return stream.permutation([*normals, *stream.permutation(np.flatnonzero(odd))[:wanted]])


def of_trainings(images: np.ndarray, epochs: int, seed: int) -> tuple[Scores, np.ndarray]:
    """Our ways with trainings from scratch, and features [N, d] of the one on all images."""
    detector = AnomalyDetector(**SCRATCH, epochs=epochs, seed=seed)
    judged = list(judge_folds(detector, images, FOLDS))
    detector.fit(images)
    back = np.argsort(np.concatenate([each.rows for each in judged]))
    ranks = [each.scores.argsort().argsort() / len(each.scores) for each in judged]
    return {
        "folds": np.concatenate([each.scores for each in judged])[back],
        "folds, ranks": np.concatenate(ranks)[back],
        "left out": left_out_scores(detector, images).scores,
        "as trained": detector.anomaly_scores(images),
    }, detector.features(images)["embedding"]


def of_features(features: np.ndarray, seed: int) -> Scores:
    """The same on a frozen encoder, where what the scorer has seen is all that folds change."""
    parts = [fold_rows(len(features), fold, FOLDS, seed) for fold in range(FOLDS)]
    scorer = scorers.build(AnomalyDetector().scorer)
    found = [scorer.fit(np.delete(features, rows, 0)).score(features[rows]) for rows in parts]
    back = np.argsort(np.concatenate(parts))
    ranks = [each.argsort().argsort() / len(each) for each in found]
    whole = scorer.fit(features)
    return {
        "folds": np.concatenate([in_quartile_ranges(each) for each in found])[back],
        "folds, ranks": np.concatenate(ranks)[back],
        "left out": whole.leave_one_out(),
        "as trained": whole.score(features),
    }


def of_peers(features: np.ndarray, seed: int, missing: set[str]) -> Scores:
    """pyod's detectors and cleanlab's outlier score on the same features, at their defaults."""
    found = {}
    for module, name in PEERS:
        if library := _imported(f"pyod.models.{module}", missing):
            options = {"random_state": seed} if name == "IForest" else {}
            found[f"pyod {name}"] = getattr(library, name)(**options).fit(features).decision_scores_
    if library := _imported("cleanlab.outlier", missing):
        scores = library.OutOfDistribution().fit_score(features=features, verbose=False)
        found["cleanlab"] = -scores  # theirs are low for outliers
    return found


def _imported(module: str, missing: set[str]) -> object | None:
    try:
        return importlib.import_module(module)
    except ImportError:
        missing.add(module.split(".")[0])
        return None


def fashion(options: argparse.Namespace, missing: set[str]) -> Found:
    """Every class as normal, polluted with the others; trained from scratch."""
    source = load_images("fashion-mnist", "train")
    for normal in options.classes:
        bad = source.labels != normal
        for share in SHARES:
            rows = polluted(~bad, bad, options.images, share, normal)
            scores, features = of_trainings(source.images[rows, 0], options.epochs, normal)
            yield share, scores | of_peers(features, normal, missing), bad[rows]


def real(name: str, options: argparse.Namespace, missing: set[str]) -> Found:
    """Normal images polluted with real defects, on a frozen backbone; several draws of a pool."""
    file, label, defects = REAL[name]
    source = load_images(str(options.data_root / file), "all")
    normal, odd = source.labels == label, np.isin(source.labels, defects)
    pool = np.sort(polluted(normal, odd, 2 * options.images, max(SHARES), 0))
    images, normal, odd = source.images[pool, 0], normal[pool], odd[pool]
    features = AnomalyDetector(**LITE).fit(images[:8]).features(images)["embedding"]
    for draw in range(options.draws):
        for share in SHARES:
            rows = polluted(normal, odd, options.images, share, draw)
            scores = of_features(features[rows], draw)
            yield share, scores | of_peers(features[rows], draw, missing), odd[rows]


def table(found: Found, what: str) -> str:
    """Average precision in percent: a row a way, a column a share."""
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for share, scores, bad in found:
        for way, each in scores.items():
            values[way][share].append(100 * auprc(each, bad))
        values["random level"][share].append(100 * float(bad.mean()))
        print(what, share, {way: round(values[way][share][-1], 1) for way in values}, flush=True)
    spreads = {way: [Spread.of(values[way][share]) for share in SHARES] for way in values}
    rows = [
        [way, *(f"{each.median:.1f} ({each.low:.1f}–{each.high:.1f})" for each in row)]
        for way, row in spreads.items()
    ]
    count = next(iter(spreads.values()))[0].n
    return markdown_table(
        [f"way (n = {count})", *(f"{share:.0%} polluted" for share in SHARES)], rows
    )


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", required=True, type=Path, metavar="DIR")
    parser.add_argument("--classes", type=int, nargs="+", default=[1, 7, 9], metavar="C")
    parser.add_argument("--images", type=int, default=200, metavar="N")
    parser.add_argument("--epochs", type=int, default=6, metavar="N")
    parser.add_argument("--draws", type=int, default=5, metavar="N")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    machine, missing, started = describe(torch.device("cpu")), set(), time.perf_counter()
    parts = [
        "# Suspects: which training images do not belong",
        f"Made by `python benchmarks/suspects.py {' '.join(sys.argv[1:])}`. Average precision in "
        f"percent, median (range) of n draws of {options.images} images each. {FOLDS} folds; "
        '"ranks" takes ranks within each fold in place of quartile ranges, and "as trained" scores '
        "images by the training and the scorer that have seen them. Peers take the features of the "
        "one training on all images, at their defaults.",
        markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
    ]
    for name, (file, *_) in REAL.items():
        if not (options.data_root / file).is_file():
            parts.append(f"{file} is absent, so {name} are left out.")
            continue
        parts.append(
            f"## {name.capitalize()}: frozen EfficientNet-Lite0\n\nPolluted with real defects, "
            f"k-Cos on the embedding; draws share images, as they are of {2 * options.images}.\n\n"
            + table(real(name, options, missing), name)
        )
    parts.append(
        f"## Fashion-MNIST: trained from scratch\n\nk-Cos on the embedding. Classes "
        f"{options.classes}, one draw each, "
        f"polluted with the others; SimSiam with both norms, ResNet-10 of width {SCRATCH['width']} "
        f"at {SCRATCH['image_size']} pixels, {options.epochs} epochs: tiny.\n\n"
        + table(fashion(options, missing), "fashion")
    )
    if missing:
        parts.append(f"Not installed, so not compared: {', '.join(sorted(missing))}.")
    parts.append(f"The run took {(time.perf_counter() - started) / 60:.1f} minutes.")
    text = "\n\n".join(parts)
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
