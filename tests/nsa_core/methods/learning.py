"""A short real training on digits, and what the network could do before and after it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from nsa_core import TrialConfig, auroc, methods, one_class_split, scorers, train
from nsa_core.augment import Augmentation, augment
from nsa_core.methods.rotations import rotations, turns
from nsa_core.training import build_method, embed
from nsa_core.training.own_scores import own_scores

CPU = torch.device("cpu")
VIEWS = Augmentation(crop_scale=(0.4, 1), flip=0, saturation=0, hue=0, grey=0)
GENTLE = Augmentation((0.7, 1), flip=0, brightness=0.2, contrast=0.2, saturation=0, hue=0, grey=0)


@dataclass(frozen=True)
class Able:
    """What a network can do with digits of the test split, none of which it was trained on.

    Attributes:
        auroc: of c-Cos and KDE of the embedding, and of the method's own scores.
        partners: by how much projections of two views of one normal image are more alike than
            those of two normal images, in cosine; 0 for a network that tells none from another.
        turns: share of the turns of normal images that its classifier tells, if it has one; 0.25
            by chance.
    """

    auroc: dict[str, float]
    partners: float
    turns: float


def learned(name, digits, normal_class, **settings) -> tuple[Able, Able]:
    """Before and after a training by the recipe but for the settings; seed 0."""
    split = one_class_split(*digits, normal_class)
    size = {
        "depth": 10, "width": 8, "evaluations": 1, "layers": ("embedding",), "augment": VIEWS,
        "normal_class": normal_class, "warmup_epochs": 0,
    }  # fmt: skip
    config = TrialConfig(method=name, **{**methods.recipe(name), **size, **settings})
    method = build_method(config)
    before = _able(method, config, split)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trained.ckpt"
        list(train(config, split, checkpoint=path))
        method.load_state_dict(torch.load(path, weights_only=True)["method"])
    return before, _able(method, config, split)


def _able(method, config, split) -> Able:
    train_features, test = (
        embed(method, images, CPU)["embedding"]
        for images in (split.train_images, split.test_images)
    )
    scores = {
        name: scorers.build(name).fit(train_features).score(test) for name in ("c-cos", "kde")
    }
    scores |= {
        name: each for (_, name), each in own_scores(method, config, split, CPU, True).items()
    }
    return Able(
        {name: auroc(each, split.test_is_outlier) for name, each in scores.items()},
        _partners(method, split),
        _turns(method, split),
    )


def _normal(split) -> torch.Tensor:
    return torch.from_numpy(split.test_images[~split.test_is_outlier])


@torch.no_grad()
def _partners(method, split) -> float:
    images, stream = _normal(split), torch.Generator().manual_seed(0)
    first, second = (
        F.normalize(method.project(method.encoder(augment(images, GENTLE, stream))), dim=1)
        for _ in range(2)
    )
    cosines = first @ second.T
    own, count = cosines.trace(), len(images)
    return (own / count - (cosines.sum() - own) / (count * (count - 1))).item()


@torch.no_grad()
def _turns(method, split) -> float:
    if not hasattr(method, "classifier"):
        return float("nan")
    images = _normal(split)
    told = method.classifier(method.encoder(rotations(images) / 255)).argmax(dim=1)
    return (told == turns(len(images), CPU)).float().mean().item()
