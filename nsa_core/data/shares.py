"""How many images a one-class split takes from the training split, and whether it has them."""

import numpy as np

from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

MAX_POLLUTION = 0.5
MAX_HELD_OUT = 0.5


def shares(
    train: ImageSet,
    test: ImageSet | None,
    normal: int,
    pollution: float = 0.0,
    held_out: float = 0.0,
    probe_images: int = 0,
) -> tuple[int, int]:
    """So many outliers are hidden among the training images, so many normals withheld from them.

    Arguments are those of ``one_class_split``, the normal class by its index.

    Raises:
        InputError: a share out of range, too few images, or images of other classes asked for
            where there is one class, or a probe where there is no test split.
    """
    if not 0 <= pollution <= MAX_POLLUTION:
        raise InputError(f"pollution is {pollution}; need a share in [0, {MAX_POLLUTION}]")
    if not 0 <= held_out <= MAX_HELD_OUT:
        raise InputError(f"held_out is {held_out}; need a share in [0, {MAX_HELD_OUT}]")
    name = train.class_names[normal]
    normals = int(np.count_nonzero(train.labels == normal))
    others = len(train) - normals
    if not normals:
        raise InputError(f"class {name!r} has no image in the training split")
    asked = {"pollution": pollution, "held_out": held_out, "probe_images": probe_images}
    wanting = [f"{field} {value}" for field, value in asked.items() if value]
    if wanting and not others:
        raise InputError(
            f"{' and '.join(wanting)}: need training images of other classes, and all {normals} "
            f"are of class {name!r}; use 0"
        )
    if probe_images and test is None:
        raise InputError(
            f"probe_images {probe_images}: a probe is measured on test images, and the data set "
            "has no test split; use 0"
        )
    withheld = int(held_out * normals + 1e-9)
    if held_out and not withheld:
        raise InputError(
            f"held_out {held_out} of the {normals} training images of class {name!r} is none; "
            f"use at least {1 / normals:.3g}"
        )
    hidden = int(pollution / (1 - pollution) * (normals - withheld) + 1e-9)
    if hidden + withheld > others:
        raise InputError(
            f"pollution {pollution} and held_out {held_out} of class {name!r} need "
            f"{hidden + withheld} outliers; the training split has {others}"
        )
    return hidden, withheld
