"""Does normalisation keep long trainings good? Figure 2 of the paper.

AUROC, kappa, probe accuracy and MMD to uniform over epochs, with and without norm:

    python studies/early_stopping.py --preset quick
    python studies/early_stopping.py --preset small --dataset fashion-mnist
    python studies/early_stopping.py --preset paper --data-root DIR --gpus-per-trial 0.25
"""

import sys

from studies import Layout, Preset, Study, main

ARMS = (("simclr", "none"), ("simclr", "f"), ("simsiam", "none"), ("simsiam", "both"))

STUDY = Study(
    name="early_stopping",
    title="Figure 2: dynamics of training with and without norm",
    layout=Layout(rows=("method", "norm"), lead=("dynamics",)),
    presets={
        # minutes on two cores: real handwritten digits of 16x16
        "quick": Preset(
            dataset="digits",
            classes=(0, 8),
            axes={("method", "norm"): ARMS},
            base={
                "budget": 60,
                "evaluations": 12,
                "batch_size": 32,
                "learning_rate": 1e-3,
                "width": 16,
                "precision": "fp32",
                "probe_images": 1000,
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
            },
        ),
        # an hour on two cores: 32x32 images, a narrow network
        "small": Preset(
            dataset="fashion-mnist",
            classes=(4, 6),
            axes={("method", "norm"): ARMS},
            base={
                "budget": 30,
                "evaluations": 12,
                "batch_size": 128,
                "learning_rate": 1e-3,
                "width": 16,
                "stem": "3x3/2",
                "probe_images": 5000,
            },
        ),
        # the paper's lengths: four classes of CIFAR-10; for GPUs
        "paper": Preset(
            dataset="cifar10",
            classes=("airplane", "cat", "dog", "ship"),
            axes={
                ("method", "norm", "budget"): tuple(
                    (method, norm, 500 if method == "simclr" else 5000) for method, norm in ARMS
                )
            },
            base={"evaluations": 30, "probe_images": 5_000},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
