"""Does normalisation keep polluted training sets good? Tables 1 and 2 of the paper across p.

Methods and norm variants by the share p of hidden outliers; for one class and seed the outliers at
a smaller p are among those at a larger one:

    python studies/pollution_robustness.py --preset quick
    python studies/pollution_robustness.py --preset small --dataset fashion-mnist
    python studies/pollution_robustness.py --preset paper --data-root DIR --gpus-per-trial 0.25
"""

import sys

from studies import Layout, Preset, Study, main

ARMS = (
    ("simsiam", "none"),
    ("simsiam", "both"),
    ("byol", "none"),
    ("byol", "both"),
    ("simclr", "none"),
    ("simclr", "f"),
)
TABLE_1 = {  # clean, polluted: columns SS, SS(n), BYOL, BYOL(n), SC, SC(n)
    "cifar10": {
        0.0: (0.895, 0.917, 0.885, 0.905, 0.863, 0.889),
        0.1: (0.832, 0.863, 0.829, 0.853, 0.656, 0.798),
    },
    "fashion-mnist": {
        0.0: (0.959, 0.950, 0.953, 0.951, 0.946, 0.949),
        0.1: (0.630, 0.753, 0.613, 0.732, 0.465, 0.531),
    },
}

STUDY = Study(
    name="pollution_robustness",
    title="Tables 1 and 2: methods and norm variants by pollution",
    layout=Layout(
        rows=("method", "norm"),
        columns="pollution",
        lead=("tables", "pollution"),
        paper={
            (dataset, *arm, pollution): value
            for dataset, by_share in TABLE_1.items()
            for pollution, values in by_share.items()
            for arm, value in zip(ARMS, values, strict=True)
        },
    ),
    presets={
        # two minutes on two cores: all ten handwritten digits, a very narrow network. What it shows
        # is what pollution costs; it is too small to tell norms apart (docs/quick_study.md)
        "quick": Preset(
            dataset="digits",
            classes=(),
            axes={"norm": ("none", "both"), "pollution": (0.0, 0.2)},
            base={
                "budget": 150,
                "budget_unit": "steps",
                "evaluations": 3,
                "layers": ("embedding",),
                "batch_size": 16,
                "learning_rate": 1e-3,
                "depth": 10,
                "width": 8,
                "precision": "fp32",
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
                "method_options": {"projector_dim": 256, "predictor_dim": 256},
            },
        ),
        # an hour or two on two cores: 32x32 images, a narrow network
        "small": Preset(
            dataset="fashion-mnist",
            classes=(4, 6),
            axes={("method", "norm"): ARMS, "pollution": (0.0, 0.05, 0.1)},
            base={
                "budget": 8,
                "evaluations": 2,
                "batch_size": 64,
                "learning_rate": 1e-3,
                "width": 16,
                "stem": "3x3/2",
            },
        ),
        # the paper's: ResNet-18, its lengths, all classes; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=(),
            axes={
                ("method", "norm", "budget"): tuple(
                    (method, norm, 500 if method == "simclr" else 4000) for method, norm in ARMS
                ),
                "pollution": (0.0, 0.05, 0.1),
            },
            base={"evaluations": 30},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
