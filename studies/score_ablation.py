"""Which score, on which layer? Appendices C and G of the paper.

All scores on all layers of the same trained networks, and ensembles of layers:

    python studies/score_ablation.py --preset quick
    python studies/score_ablation.py --preset small --dataset fashion-mnist
    python studies/score_ablation.py --preset paper --data-root DIR --gpus-per-trial 0.25
"""

import sys

from studies import Layout, Preset, Study, main

LAYERS = ("stem", "stage1", "stage2", "stage3", "embedding", "projection")

STUDY = Study(
    name="score_ablation",
    title="Scores by layers, SimSiam, clean and polluted training data",
    layout=Layout(rows=("norm", "pollution"), lead=("layers",)),
    presets={
        # minutes on two cores: real handwritten digits of 16x16
        "quick": Preset(
            dataset="digits",
            classes=(0, 3, 8),
            axes={"norm": ("none", "both"), "pollution": (0.0, 0.1)},
            base={
                "budget": 30,
                "evaluations": 1,
                "layers": LAYERS,
                "batch_size": 32,
                "learning_rate": 3e-3,
                "width": 16,
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
                "method_options": {"projector_dim": 512, "predictor_dim": 512},
            },
        ),
        # an hour on two cores: 32x32 images, a narrow network
        "small": Preset(
            dataset="fashion-mnist",
            classes=(0, 4, 6),
            axes={"norm": ("none", "both"), "pollution": (0.0, 0.1)},
            base={
                "budget": 20,
                "evaluations": 1,
                "layers": LAYERS,
                "batch_size": 64,
                "learning_rate": 1e-3,
                "width": 16,
                "stem": "3x3/2",
                "method_options": {"projector_dim": 512, "predictor_dim": 256},
            },
        ),
        # the paper's networks; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=(),
            axes={"norm": ("none", "both"), "pollution": (0.0, 0.1)},
            base={"budget": 4000, "evaluations": 10, "layers": LAYERS},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
