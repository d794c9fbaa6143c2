"""The training of a detector where its user says nothing: by the number and size of the images.

From scratch, for two cores of a CPU: a ResNet-10 of width 16 on images whose shorter side is
reduced to 48 pixels (none is enlarged), batches of 64 (of a quarter of the images, if those are
few), Adam at 1e-3, and as many epochs as make ``PASSES`` passes of an image, within ``EPOCHS``.
On a backbone: nothing is trained unless a method is named, at 224 pixels as it was trained itself,
or at the least multiple of 32 from twice the images' longer side on, if that is less.
"""

from collections.abc import Mapping
from typing import Any

from nsa_core import methods
from nsa_core.augment import Augmentation
from nsa_core.config import TrialConfig
from nsa_core.errors import InputError, whole

FEWEST = 8
"""Images that a detector is trained on, at least."""

SIDE, BACKBONE_SIDE = 48, 224
PASSES, EPOCHS = 64_000, (20, 400)
BATCH, LEAST_BATCH = 64, 2
LEARNING_RATE = 1e-3
PROJECTOR = 512
WIDE_STEM = 40  # from this side on the stem halves it

Shape = tuple[int, int, int]


def method_of(method: str | None, backbone: str) -> str:
    """The method's name; unless told, SimSiam from scratch, and a backbone as it is."""
    return method or ("frozen" if backbone else "simsiam")


def encoded_shape(shape: Shape, image_size: int | None, has_backbone: bool) -> Shape:
    """(C, h, w) of images [C, H, W] as training sees them; a backbone resizes them by itself."""
    if has_backbone:
        return shape
    channels, height, width = shape
    short = min(height, width)
    side = min(short, SIDE) if image_size is None else whole("image_size", image_size, 1)
    scaled = [max(1, round(each * side / short)) for each in (height, width)]
    return channels, scaled[0], scaled[1]


def configuration(parameters: Mapping[str, Any], count: int, shape: Shape) -> TrialConfig:
    """The training of a detector.

    Args:
        parameters: of the ``AnomalyDetector``.
        count: of the images that it is trained on.
        shape: of each, (C, H, W).

    Raises:
        InputError: too few images, or a parameter that is wrong or does not apply.
    """
    if count < FEWEST:
        raise InputError(
            f"{count} images are left to train on; need at least {FEWEST}, without those that are "
            "withheld for calibration"
        )
    given = {name: parameters[name] for name in parameters if parameters[name] is not None}
    backbone = given["backbone"]
    method, options = method_of(parameters["method"], backbone), given.get("method_options", {})
    norms = methods.norms(method, options)
    chosen: dict[str, Any] = {
        "dataset": "pictures",
        "method": method,
        "norm": given.get("norm", "both" if "both" in norms else norms[0]),
        "seed": given["seed"],
        "augment": given.get("augment", Augmentation()),
    }
    if methods.has_backbone(method, options):
        recipe = methods.recipe(method, options)
        side = min(BACKBONE_SIDE, -(-2 * max(shape[1:]) // 32) * 32)
        chosen |= recipe | {
            "norm": chosen["norm"],
            "backbone": backbone,
            "weights": given["weights"],
            "image_size": given.get("image_size", side),
            "batch_size": min(recipe["batch_size"], count),
            "method_options": options,
        }
    else:
        batch = given.get("batch_size", max(LEAST_BATCH, min(BATCH, count // 4)))
        side = min(encoded_shape(shape, parameters["image_size"], False)[1:])
        if backbone or given["weights"]:
            raise InputError(
                f"backbone is {backbone!r}, but {method} trains its own encoder; leave it out, or "
                "choose another method: frozen, msc, panda"
            )
        least, most = EPOCHS
        own = methods.options(method, options)
        chosen |= {
            "depth": given["depth"],
            "width": given["width"],
            "stem": "3x3/2" if side >= WIDE_STEM else "3x3",
            "channels_last": given["width"] >= 8,
            "learning_rate": LEARNING_RATE,
            "batch_size": batch,
            "budget": max(least, min(most, round(PASSES / count))),
            "method_options": ({"projector_dim": PROJECTOR} if "projector_dim" in own else {})
            | dict(options),
        }
    for name, own_name in (
        ("epochs", "budget"),
        ("batch_size", "batch_size"),
        ("learning_rate", "learning_rate"),
    ):
        if name in given:
            chosen[own_name] = given[name]
    config = TrialConfig(**chosen)
    instances = count * methods.instances(method, config.method_options)
    if methods.trains(method) and config.batch_size > instances:
        raise InputError(
            f"batch_size is {config.batch_size}, but {count} images are left to train on; use at "
            f"most {instances}"
        )
    return config
