"""Can hyperparameters be chosen without a label of the test set? Optuna says yes or no.

A search for one normal class whose training set is polluted. What Optuna maximises is known without
test images; the report then says what each signal would have been worth:

    python studies/hyperparameter_search.py --preset quick
    python studies/hyperparameter_search.py --preset quick --objectives kappa,alignment
    python studies/hyperparameter_search.py --preset small --dataset fashion-mnist --asha held-out
    python studies/hyperparameter_search.py --preset paper --data-root DIR --gpus-per-trial auto

The same command goes on where it stopped; a larger --trials adds to what is there.
"""

import sys

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from studies import Layout, Search, SearchPreset, main


def space(batch_sizes: tuple[int, ...], slowest: float) -> dict[str, BaseDistribution]:
    """What is searched; ``slowest`` is the lowest learning rate."""
    return {
        "norm": CategoricalDistribution(("none", "f", "g", "both")),
        "batch_size": CategoricalDistribution(batch_sizes),
        "learning_rate": FloatDistribution(slowest, 1e-2, log=True),
        "weight_decay": CategoricalDistribution((0.0, 1e-6, 1e-5, 1e-4)),
        "augment.brightness": FloatDistribution(0.0, 0.8),
    }


STUDY = Search(
    name="hyperparameter_search",
    title="Choosing hyperparameters without test labels",
    layout=Layout(
        rows=("norm", "batch_size", "learning_rate", "weight_decay", "augment.brightness"),
        lead=("selection",),
    ),
    presets={
        # minutes on two cores: real handwritten digits of 16x16
        "quick": SearchPreset(
            dataset="digits",
            normal_class=8,
            trials=20,
            space=space(batch_sizes=(16, 32, 64), slowest=1e-4),
            base={
                "budget": 30,
                "evaluations": 6,
                "layers": ("embedding",),
                "pollution": 0.1,
                "held_out": 0.2,
                "width": 16,
                "precision": "fp32",
                "augment": {"crop_scale": (0.4, 1.0), "flip": 0.0},
                "method_options": {"projector_dim": 512, "predictor_dim": 512},
            },
        ),
        # an hour on two cores: 32x32 images, a narrow network
        "small": SearchPreset(
            dataset="fashion-mnist",
            normal_class=6,
            trials=24,
            space=space(batch_sizes=(32, 64, 128), slowest=1e-4),
            base={
                "budget": 6,
                "evaluations": 4,
                "layers": ("embedding",),
                "pollution": 0.1,
                "held_out": 0.1,
                "width": 16,
                "stem": "3x3/2",
                "method_options": {"projector_dim": 512, "predictor_dim": 256},
            },
        ),
        # ResNet-18 on CIFAR-10; for GPUs
        "paper": SearchPreset(
            dataset="cifar10",
            normal_class="cat",
            trials=100,
            space=space(batch_sizes=(32, 64, 128, 256, 512), slowest=1e-5),
            base={"budget": 1000, "evaluations": 20, "pollution": 0.1, "held_out": 0.1},
        ),
    },
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
