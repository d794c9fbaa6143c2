"""Does normalisation keep small batches good? Table 3 of the paper.

Norm variants by batch sizes, SimSiam, clean training data:

    python studies/batchsize_ablation.py --preset quick
    python studies/batchsize_ablation.py --preset small --dataset fashion-mnist
    python studies/batchsize_ablation.py --preset paper --data-root DATA --gpus-per-trial 0.25
"""

import sys

from studies import Layout, Preset, Study, main

NORMS = ("none", "f", "g", "both")

STUDY = Study(
    name="batchsize_ablation",
    title="Table 3: norm variants by batch size, SimSiam",
    layout=Layout(
        rows=("norm",),
        columns="batch_size",
        headline="c-cos",
        paper={
            ("cifar10", "none", 32): 0.7797,
            ("cifar10", "f", 32): 0.8576,
            ("cifar10", "g", 32): 0.8173,
            ("cifar10", "both", 32): 0.929,
            ("cifar10", "none", 512): 0.8956,
            ("cifar10", "f", 512): 0.9163,
            ("cifar10", "g", 512): 0.8922,
            ("cifar10", "both", 512): 0.917,
        },
    ),
    presets={
        # minutes on two cores: real handwritten digits of 16x16
        "quick": Preset(
            dataset="digits",
            classes=(0, 8),
            axes={"norm": NORMS, "batch_size": (16, 64)},
            base={
                "budget": 40,
                "evaluations": 3,
                "layers": ("embedding",),
                "learning_rate": 1e-3,
                "width": 16,
                "precision": "fp32",
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
                "method_options": {"projector_dim": 512, "predictor_dim": 512},
            },
        ),
        # half an hour on two cores: 32x32 images, a narrow network
        "small": Preset(
            dataset="fashion-mnist",
            classes=(4, 6),
            axes={"norm": NORMS, "batch_size": (32, 512)},
            base={
                "budget": 4,
                "evaluations": 2,
                "learning_rate": 3e-3,
                "width": 16,
                "stem": "3x3/2",
                "method_options": {"projector_dim": 512, "predictor_dim": 256},
            },
        ),
        # the paper's: ResNet-18, 4,000 epochs, all classes; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=(),
            axes={"norm": NORMS, "batch_size": (32, 512)},
            base={"budget": 4000, "evaluations": 30},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
