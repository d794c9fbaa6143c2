"""The training of a detector where its user says nothing: by the number and size of the images.

From scratch, for two cores of a CPU: a ResNet-10 of width 16 on images whose shorter side is
reduced to ``SIDE`` pixels (none is enlarged), batches of 64 (of a quarter of the images, if those
are few), Adam at 1e-3, and as many epochs as make ``PASSES`` passes of an image, within ``EPOCHS``.

On a backbone, which resizes images by itself: the method's published training; unless a method is
named there is none. Images are resized to the least multiple of 32 pixels that holds their longer
side, within ``BACKBONE_SIDES``.
"""

import math
from collections.abc import Mapping
from typing import Any

from nsa_core import methods
from nsa_core.augment import Augmentation
from nsa_core.config import TrialConfig
from nsa_core.data.picture_survey import BROKEN
from nsa_core.data.resize import RESIZES
from nsa_core.detector.images import Shape
from nsa_core.errors import InputError, unknown, whole

FEWEST = 8
"""Images that a detector is trained on, at least."""

SIDE, LARGEST = 48, 2048
DEPTH, WIDTH = 10, 16
FILE_SIDE, BACKBONE_SIDES = 64, (128, 224)
PASSES, EPOCHS = 24_000, (20, 400)
BATCH, SHARE_OF_FEW = 64, 4
LEARNING_RATE = 1e-3
PROJECTOR = 512
HALVING_STEM = 40  # the least side for a stem of stride 2

OF_SCRATCH, OF_BACKBONE = ("width", "depth"), ("backbone", "weights")
OF_TRAINING = ("epochs", "batch_size", "learning_rate")

Parameters = Mapping[str, Any]


def configuration(
    parameters: Parameters, shape: Shape, count: int, withheld: int = 0
) -> TrialConfig:
    """The training of a detector.

    Args:
        parameters: of the ``AnomalyDetector``; what is None has a default.
        shape: of the images, (C, H, W).
        count: of the images that it is trained on.
        withheld: how many more there are, for messages.

    Raises:
        InputError: too few images, or a parameter that is wrong or does not apply.
    """
    if count < FEWEST:
        raise InputError(
            f"{count + withheld} images are too few: {withheld} are withheld for calibration, and "
            f"{count} left to train on; need at least {FEWEST}"
        )
    method, options = _method(parameters)
    norms = methods.norms(method, options)
    for name in ("epochs", "image_size"):
        if parameters[name] is not None:
            whole(name, parameters[name], 1)
    chosen = {
        "dataset": "pictures",
        "method": method,
        "norm": "both" if "both" in norms else norms[0],
        "augment": Augmentation(),
        "seed": parameters["seed"],
    }
    if methods.has_backbone(method, options):
        chosen |= _on_backbone(method, parameters, shape, count)
    else:
        chosen |= _from_scratch(method, parameters, shape, count)
    for name, given in (
        ("norm", parameters["norm"]),
        ("augment", parameters["augment"]),
        ("budget", parameters["epochs"]),
        ("batch_size", parameters["batch_size"]),
        ("learning_rate", parameters["learning_rate"]),
        ("image_size", parameters["image_size"] if "image_size" in chosen else None),
    ):
        if given is not None:
            chosen[name] = given
    if chosen.get("image_size", 1) > LARGEST:
        raise InputError(f"image_size is {chosen['image_size']}; need at most {LARGEST}")
    if not methods.trains(method):
        _refuse(parameters, OF_TRAINING, f"{method} trains nothing")
    config = TrialConfig(**chosen)
    most = count * methods.instances(method, options)
    if methods.trains(method) and config.batch_size > most:
        raise InputError(
            f"batch_size is {config.batch_size}, and {count} images are left to train on; use at "
            f"most {most}"
        )
    return config


def encoded_size(parameters: Parameters, shape: Shape) -> tuple[int, int]:
    """(h, w) of images [C, H, W] as training sees them; a backbone resizes them by itself."""
    _, height, width = shape
    if methods.has_backbone(*_method(parameters)):
        return height, width
    short, size = min(height, width), parameters["image_size"]
    side = min(short, SIDE) if size is None else whole("image_size", size, 1)
    sides = max(1, round(height * side / short)), max(1, round(width * side / short))
    if max(sides) > LARGEST:
        raise InputError(
            f"image_size is {size}, with which images of {height}x{width} have a side of "
            f"{max(sides)}; need at most {LARGEST}"
        )
    return sides


def size_of_files(parameters: Parameters) -> tuple[int, int] | None:
    """(H, W) that images are read at; None for their own, where no policy may change it.

    Raises:
        InputError: an unknown policy.
    """
    for name, known in (("resize", RESIZES), ("on_broken", BROKEN)):
        if parameters[name] not in known:
            raise unknown(name, parameters[name], known)
    if parameters["resize"] == "refuse":
        return None
    usual = BACKBONE_SIDES[1] if methods.has_backbone(*_method(parameters)) else FILE_SIDE
    size = parameters["image_size"]
    side = usual if size is None else whole("image_size", size, 1)
    return side, side


def _method(parameters: Parameters) -> tuple[str, Mapping[str, methods.Option]]:
    """Name and options; unless told, SimSiam from scratch, and a backbone as it is."""
    usual = "frozen" if parameters["backbone"] else "simsiam"
    options = parameters["method_options"] or {}
    if not isinstance(options, Mapping):
        raise InputError(f"method_options is {options!r}; need a mapping of names to values")
    return parameters["method"] or usual, options


def _from_scratch(method: str, parameters: Parameters, shape: Shape, count: int) -> dict[str, Any]:
    width = WIDTH if parameters["width"] is None else parameters["width"]
    reason = f"{method} trains its own encoder (frozen, msc and panda take one)"
    _refuse(parameters, OF_BACKBONE, reason)
    given = parameters["method_options"] or {}
    has_projector = "projector_dim" in methods.options(method, given)
    least, most = EPOCHS
    return {
        "depth": DEPTH if parameters["depth"] is None else parameters["depth"],
        "width": width,
        "stem": "3x3/2" if min(encoded_size(parameters, shape)) >= HALVING_STEM else "3x3",
        "channels_last": whole("width", width, 1) >= 8,
        "learning_rate": LEARNING_RATE,
        "batch_size": min(BATCH, count // SHARE_OF_FEW),
        "budget": max(least, min(most, round(PASSES / count))),
        "method_options": {"projector_dim": PROJECTOR, **given} if has_projector else given,
    }


def _on_backbone(method: str, parameters: Parameters, shape: Shape, count: int) -> dict[str, Any]:
    given = parameters["method_options"] or {}
    recipe = methods.recipe(method, given)
    _refuse(parameters, OF_SCRATCH, f"{method} has a backbone")
    least, most = BACKBONE_SIDES
    return recipe | {
        "backbone": parameters["backbone"],
        "weights": parameters["weights"],
        "image_size": max(least, min(most, math.ceil(max(shape[1:]) / 32) * 32)),
        "batch_size": min(recipe["batch_size"], count),
        "method_options": given,
    }


def _refuse(parameters: Parameters, names: tuple[str, ...], reason: str) -> None:
    """An InputError if a parameter is given that does not apply."""
    for name in names:
        if parameters[name] not in (None, ""):
            raise InputError(f"{name} is {parameters[name]!r}, and {reason}; leave it out")
