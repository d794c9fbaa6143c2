"""Which detector is best, clean and polluted? Tables 1 and 2 of the paper, all methods.

Each method by its published training, with and without 10 % of outliers in the training set, beside
its published figures: one score alone (Table 1), and the ensemble of layers or the method's own
score (Table 2), per class and as a mean, with passes of the encoder for a test image:

    python studies/one_class_benchmark.py --preset quick
    python studies/one_class_benchmark.py --preset small --dataset fashion-mnist
    python studies/one_class_benchmark.py --preset paper --data-root DIR --gpus-per-trial 0.25

The first two are too short to replicate anything. A method more is a line in ARMS and one in SHORT.
"""

import sys
from collections.abc import Sequence
from typing import Any

from studies import Layout, Preset, Published, Study, main

Score = tuple[str, str]
Table = dict[str, tuple[tuple[float | None, ...], ...]]

ARMS = (
    ("byol", "none"),
    ("byol", "both"),
    ("simsiam", "none"),
    ("simsiam", "both"),
    ("simclr", "none"),
    ("simclr", "f"),
    ("simclr-shifted", "none"),
    ("simclr-shifted", "f"),
    ("rotnet", "none"),
    ("droc", "none"),
    ("goad", "none"),
    ("csi", "none"),
    ("stoc", "none"),
    ("unicon-ha", "none"),
    ("firm", "none"),
)
SHARES = (0.0, 0.1)
TABLE_1: Table = {  # in % by data set, clean and polluted, in the order of ARMS up to GOAD
    "cifar10": (
        (88.5, 90.5, 89.5, 91.7, 86.3, 88.9, 90.7, 92.9, 89.3, 92.5, 88.2),
        (82.9, 85.3, 83.2, 86.3, 65.6, 79.8, 79.6, 83.9, 78.5, 80.5, 83.0),
    ),
    "cifar100": (
        (79.6, 80.2, 81.4, 84.3, 80.5, 84.0, 84.7, 87.0, 81.9, 86.5, 74.5),
        (76.2, 77.8, 78.9, 80.3, 75.9, 80.0, 80.5, 82.8, None, None, None),
    ),
    "fashion-mnist": (
        (95.3, 95.1, 95.9, 95.0, 94.6, 94.9, 94.7, 95.7, 94.6, 94.5, 94.1),
        (61.3, 73.2, 63.0, 75.3, 46.5, 53.1, 78.7, 80.9, None, 76.6, None),
    ),
}
TABLE_2: Table = {  # of ENSEMBLES
    "cifar10": ((91.9, 92.5, 90.3, 93.0, 94.3, 92.1), (88.3, 88.5, 86.7, 87.8, 84.5, 89.9)),
    "cifar100": ((83.4, 86.6, None, 89.4, 89.6, None), (80.7, 82.5, 83.0, 85.7, None, None)),
    "fashion-mnist": ((96.2, 96.1, 96.3, 95.9, None, 95.5), (87.9, 87.8, 87.5, 90.9, None, 85.7)),
}
ENSEMBLES = (
    ("byol", "both"), ("simsiam", "both"), ("simclr", "f"), ("simclr-shifted", "f"),
    ("csi", "none"), ("stoc", "none"),
)  # fmt: skip
LATER: Table = {"cifar10": ((95.4,), (None,)), "cifar100": ((92.4,), (None,))}  # UniCon-HA's own
# scorer and layer of ours
SINGLE = {
    "": ("k-cos", "embedding"),
    "rotnet": ("kde", "embedding"),
    "droc": ("kde", "embedding"),
    "goad": ("goad", "method"),
}
TOGETHER = {"": ("c-cos", "ensemble"), "csi": ("csi", "method"), "stoc": ("stoc", "method")}
SHORT = {  # images a step of about 128 views, a rate for hundreds of steps, and narrow heads
    "byol": (64, 1e-3, {"hidden_dim": 256, "projector_dim": 64}),
    "simsiam": (64, 1e-3, {"projector_dim": 256, "predictor_dim": 256}),
    "simclr": (64, 3e-3, {"hidden_dim": 128, "projector_dim": 64}),
    "simclr-shifted": (64, 3e-3, {"hidden_dim": 128, "projector_dim": 64}),
    "rotnet": (32, 0.05, {}),
    "droc": (64, 0.05, {"hidden_dim": 128, "hidden_layers": 2, "projector_dim": 64}),
    "goad": (4, 1e-3, {}),  # whose views are 72 an image
    "csi": (16, 3.0, {"samples": 4, "projector_dim": 32}),
    "stoc": (32, 0.05, {"base": "rotnet", "refine_every": 4, "subsets": 3}),
    "unicon-ha": (8, 0.05, {"hidden_dim": 128, "projector_dim": 64}),
    "firm": (16, 0.05, {"hidden_dim": 128, "head_layers": 3, "projector_dim": 64}),
}


def _short_arms(arms: tuple[tuple[str, str], ...]) -> dict[str | tuple[str, ...], Sequence[Any]]:
    fields = ("method", "norm", "batch_size", "learning_rate", "method_options")
    return {fields: [(*arm, *SHORT[arm[0]]) for arm in arms], "pollution": SHARES}


def _figures(
    source: str, table: Table, arms: tuple[tuple[str, str], ...], scores: dict[str, Score]
) -> tuple[Published, ...]:
    """A table's figures, each with the score of its method, or that of all ("")."""
    return tuple(
        Published(
            {"dataset": dataset, "method": method, "norm": norm, "pollution": share},
            percent / 100,
            *scores.get(method, scores[""]),
            source,
        )
        for dataset, rows in table.items()
        for share, row in zip(SHARES, rows, strict=True)
        for (method, norm), percent in zip(arms, row, strict=True)
        if percent is not None
    )


STUDY = Study(
    name="one_class_benchmark",
    title="Tables 1 and 2: all methods, clean and polluted",
    layout=Layout(
        rows=("method", "norm"),
        columns="pollution",
        lead=("published", "tables"),
        published=(
            *_figures("Table 1", TABLE_1, ARMS[:11], SINGLE),
            *_figures("Table 2", TABLE_2, ENSEMBLES, TOGETHER),
            *_figures(
                "UniCon-HA", LATER, (("unicon-ha", "none"),), {"": ("cosine-knn", "embedding")}
            ),
        ),
    ),
    presets={
        # minutes on two cores: real handwritten digits of 16x16, very narrow networks
        "quick": Preset(
            dataset="digits",
            classes=(3, 8),
            axes=_short_arms(tuple(arm for arm in ARMS if arm[0] != "goad")),
            base={
                "budget": 150,
                "budget_unit": "steps",
                "evaluations": 1,
                "warmup_epochs": 0,
                "depth": 10,
                "width": 8,
                "precision": "fp32",
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
            },
            recipes=True,
        ),
        # hours on two cores: all 70,000 images of 28x28, a very narrow network
        "small": Preset(
            dataset="fashion-mnist",
            classes=(4, 6, 8),
            axes=_short_arms(ARMS),
            base={
                "budget": 500,
                "budget_unit": "steps",
                "evaluations": 3,
                "warmup_epochs": 0,
                "depth": 10,
                "width": 8,
                "stem": "3x3/2",
                "precision": "fp32",
            },
            seeds=2,
            recipes=True,
        ),
        # the published trainings, all classes; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=(),
            axes={("method", "norm"): ARMS, "pollution": SHARES},
            base={"evaluations": 5},
            recipes=True,
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
