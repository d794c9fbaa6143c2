"""The whole grid: 10 classes x 4 norms x 4 batch sizes x 4 pollution ratios = 640 trials.

The paper speaks of an ablation of 640 models and does not publish its grid; this one is a guess
that has as many and spans what its tables vary. SimSiam throughout:

    python studies/full_ablation.py --preset quick
    python studies/full_ablation.py --preset paper --data-root DIR --gpus-per-trial 0.25
"""

import sys

from studies import Layout, Preset, Study, main

NORMS = ("none", "f", "g", "both")
SHARES = (0.0, 0.01, 0.05, 0.1)

STUDY = Study(
    name="full_ablation",
    title="All norms, batch sizes and pollution ratios, SimSiam",
    layout=Layout(rows=("norm", "batch_size"), columns="pollution", lead=("tables", "pollution")),
    presets={
        # less than an hour on two cores: real handwritten digits of 16x16, a very narrow network
        "quick": Preset(
            dataset="digits",
            classes=(),
            axes={"norm": NORMS, "batch_size": (8, 16, 32, 64), "pollution": SHARES},
            base={
                "budget": 20,
                "evaluations": 2,
                "layers": ("embedding",),
                "learning_rate": 1e-3,
                "depth": 10,
                "width": 8,
                "precision": "fp32",
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
                "method_options": {"projector_dim": 256, "predictor_dim": 256},
            },
        ),
        # ResNet-18, 4,000 epochs; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=(),
            axes={"norm": NORMS, "batch_size": (32, 128, 256, 512), "pollution": SHARES},
            base={"budget": 4000, "evaluations": 30},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
