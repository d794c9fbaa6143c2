"""A store of made-up results, written by the real writer: for benchmarks and tests of queries.

    python benchmarks/generated_store.py STORE --trials 640

The numbers are invented, with the effects that a study looks for: of the class, of the norm, of
the batch size, of the pollution, of the epoch, layer and scorer, and noise.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tracking import Store, TrialRecord, create_store
from tracking.trial import trial_id

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
NORMS = ("none", "f", "g", "both")
BATCH_SIZES = (32, 512, 128, 64)
POLLUTIONS = (0.0, 0.1, 0.05, 0.2)
LAYERS = ("embedding", "stage3", "stage2", "stage1", "stem", "projection")
SCORERS = (
    "c-cos", "k-cos", "mahalanobis", "kde", "cosine-knn", "c-cos-robust", "gaussian-density",
    "oc-svm", "k-cos-literal", "nearest-mahalanobis", "c-cos-raw",
)  # fmt: skip
ODD_ENDS = {
    "collapsed": "spread of embeddings 0.00312, of projections 0.0214",
    "diverged": "the loss is nan at epoch 4",
    "failed": 'RuntimeError: <b>out of memory</b> & "no more"',
    "stopped": "stopped by the scheduler",
    "pending": "",
}
_NORM_EFFECT = {"none": 0.0, "f": 0.05, "g": 0.02, "both": 0.08}
_IMAGES = 5000


def generate(
    path: str | Path, trials: int = 640, epochs: int = 30, layers: int = 5, scorers: int = 8
) -> Store:
    """Write a store with the study "generated"; all but the five of ``ODD_ENDS`` finish.

    Args:
        path: an empty or a new folder.
        trials: of 10 classes x 4 norms x 4 batch sizes x 4 pollutions, at least 10. Few trials
            are few classes, batch sizes and pollutions, crossed: 12, 96, 324 and 640 are whole.
        epochs: all of them evaluated.
        layers: embedding first, at most 6.
        scorers: c-cos first, at most 11.
    """
    store = create_store(path)
    first, apart = trials // 10, trials // 5 - 1  # an odd distance: not all of one norm
    odd = {first + place * apart: status for place, status in enumerate(ODD_ENDS)}
    ids = []
    for index, config in enumerate(itertools.islice(_configs(epochs, layers), trials)):
        record = store.trial(trial_id(config, "made up"))
        record.folder.mkdir(parents=True)
        name = CLASSES[config["normal_class"]]
        record.create(config, {"class_name": name, "data_fingerprint": "made up"})
        ids.append(record.trial_id)
        _live(record, config, odd.get(index, "finished"), SCORERS[:scorers])
    about = {
        "title": "Generated: norm variants by batch size",
        "rows": ["norm"],
        "columns": "batch_size",
        "headline": "c-cos",
        "paper": [],
    }
    store.plan("generated", ids, about=about)
    return store


def _configs(epochs: int, layers: int) -> Iterator[dict[str, Any]]:
    levels = [range(len(CLASSES)), range(len(BATCH_SIZES)), range(len(POLLUTIONS))]
    cells = itertools.product(*levels)
    for cell in sorted(cells, key=lambda at: max(at[0] // 3, at[1], at[2])):  # crossed from within
        for norm in NORMS:
            yield {
                "dataset": "cifar10", "normal_class": cell[0], "norm": norm, "seed": 0,
                "method": ("simsiam", "byol")[cell[0] % 2], "batch_size": BATCH_SIZES[cell[1]],
                "pollution": POLLUTIONS[cell[2]], "budget": epochs, "budget_unit": "epochs",
                "evaluations": epochs, "layers": list(LAYERS[:layers]), "probe_images": 0,
                "held_out": 0.1, "learning_rate": 1e-3, "weight_decay": 0.0, "depth": 10,
                "width": 16, "stem": "3x3", "precision": "fp32", "channels_last": True,
                "augment": {"flip": 0.5}, "method_options": {"projector_dim": 512},
            }  # fmt: skip


def _live(record: TrialRecord, config: dict[str, Any], status: str, names: tuple[str, ...]) -> None:
    """What a worker does: claim, begin, add every epoch, end."""
    if status == "pending":
        return
    random = np.random.default_rng(int(record.trial_id, 16))
    evaluated = config["budget"] if status == "finished" else max(1, config["budget"] // 3)
    with record.claim():
        record.begin({"host": "worker-1", "device": "cpu (x86_64)", "threads": 1, "torch": "2.14"})
        for epoch in range(1, evaluated + 1):
            auroc = _auroc(config, epoch, random)
            last = epoch == evaluated
            record.add(
                _dynamics(config, epoch, auroc, status == "collapsed" and last, random),
                [
                    _score(auroc, layer, scorer, random)
                    for layer in config["layers"]
                    for scorer in names
                ],
            )
        memory = float(random.normal(900, 50))
        record.end(status, ODD_ENDS.get(status, ""), peak_memory_mb=memory)


def _auroc(config: dict[str, Any], epoch: int, random: np.random.Generator) -> float:
    """Of c-cos on the embedding: rises, peaks at about epoch 20 and falls a little."""
    norm = _NORM_EFFECT[config["norm"]]
    classes = 0.06 * np.cos(2.3 * config["normal_class"])
    small_batch = -0.03 * (1 - norm / 0.1) * np.log2(512 / config["batch_size"]) / 4
    polluted = -(0.8 - 4 * norm) * config["pollution"]
    trained = 0.12 * (1 - np.exp(-epoch / 6)) - 0.002 * max(0, epoch - 20)
    level = 0.68 + norm + classes + small_batch + polluted + trained
    return float(np.clip(level + random.normal(0, 0.01), 0.05, 0.999))


def _score(
    auroc: float, layer: str, scorer: str, random: np.random.Generator
) -> dict[str, str | float]:
    lost = 0.025 * LAYERS.index(layer) + 0.006 * SCORERS.index(scorer)
    value = float(np.clip(auroc - lost + random.normal(0, 0.004) * bool(lost), 0.0, 1.0))
    return {
        "layer": layer,
        "scorer": scorer,
        "auroc": value,
        "auprc": value**2,
        "fpr95": min(1.0, 2 * (1 - value)),
    }


def _dynamics(
    config: dict[str, Any],
    epoch: int,
    auroc: float,
    collapsed: bool,
    random: np.random.Generator,
) -> dict[str, Any]:
    steps = _IMAGES // config["batch_size"]
    train_seconds = float(random.normal(4.0, 0.2))
    geometry = {
        "kappa_train": 2000 * auroc**4,
        "kappa_test_normal": 1800 * auroc**4,
        "kappa_test_outlier": 900 * auroc**2,
        "resultant_train": 0.5 + 0.5 * auroc**4,
        "resultant_test_normal": 0.5 + 0.48 * auroc**4,
        "resultant_test_outlier": 0.5 + 0.3 * auroc**4,
        "mmd_train": 0.9 - 0.5 * auroc,
        "uniformity_train": -1.0 - auroc,
        "alignment_train": 0.4 - 0.3 * auroc,
        "spread_train": 0.003 if collapsed else 0.4,
        "effective_rank_train": 20 + 60 * auroc,
    }
    noisy = {name: value * float(random.normal(1, 0.03)) for name, value in geometry.items()}
    return {
        "epoch": epoch,
        "step": epoch * steps,
        "loss": -0.9 * auroc,
        "collapsed": collapsed,
        "held_out_auroc": float(np.clip(auroc + random.normal(0, 0.02), 0, 1)),
        **noisy,
        **{f"projection_{name}": value for name, value in noisy.items()},
        "train_seconds": train_seconds,
        "evaluate_seconds": float(random.normal(0.8, 0.05)),
        "images_per_second": _IMAGES / train_seconds,
    }


def main() -> int:
    """Generate a store from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", help="an empty or a new folder")
    for name, default in (("trials", 640), ("epochs", 30), ("layers", 5), ("scorers", 8)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    options = parser.parse_args()
    generate(options.store, options.trials, options.epochs, options.layers, options.scorers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
