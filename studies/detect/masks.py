"""Masks of defects beside the images of a folder, and how well heat maps find them.

A mask is black where nothing is wrong. It belongs to the image of its name, ``CLASS/NAME.png`` or
``CLASS/NAME_mask.png`` in the masks' folder for ``.../CLASS/NAME.jpg``, as MVTec AD has them. In a
folder of images either all have a mask, or none has: those are taken to be without a defect.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nsa_core.data.parquet_split import SPLITS
from nsa_core.errors import InputError
from nsa_core.metrics import pixel_auroc

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector
    from nsa_core.data.pictures import Pictures

Masks = dict[str, npt.NDArray[np.bool_]]
"""[H, W] by the path of what it is of, without split and ending."""

_MARK = "_mask"


@dataclass(frozen=True)
class PixelResult:
    """How well heat maps find defects: the AUROC of all pixels, in [0, 1], of how many images."""

    auroc: float
    with_mask: int
    without: int


def read_masks(detector: "AnomalyDetector", folder: str) -> Masks:
    """All masks of a folder, at the size of the detector's images and by its resize policy.

    Raises:
        InputError: as ``picture_batches``; two masks of one image, or a mask that is all black.
    """
    from nsa_core.data.pictures import picture_batches

    _, *size = detector.image_shape_
    found: Masks = {}
    for batch in picture_batches(folder, size=size, resize=detector.resize, channels=1):
        for name, pixels in zip(batch.names, batch.images, strict=True):
            key = _key(name).removesuffix(_MARK)
            if key in found:
                raise InputError(f"{folder}: {name} is the second mask of {key!r}; need one")
            if not pixels.any():
                raise InputError(f"{folder}: {name} is black, so it shows no defect; remove it")
            found[key] = pixels[0] > pixels.max() / 2
    return found


def judged_pixels(
    detector: "AnomalyDetector", batches: Iterable["Pictures"], masks: Masks
) -> PixelResult:
    """Compare heat maps with masks, pixel by pixel; memory grows by 5 bytes a pixel of all images.

    Raises:
        InputError: as ``heat_maps``; a folder of images with masks for some of them alone, masks
            of other images, or no image without a defective pixel.
    """
    from nsa_core.detector.heat_map import heat_maps

    heat, keys = [], list[str]()
    for batch in batches:
        heat.append(heat_maps(detector, batch))
        keys += [_key(name) for name in batch.names]
    _check(keys, masks)
    blank = np.zeros(heat[0].shape[1:], bool)
    truth = [masks.get(key, blank) for key in keys]
    found = pixel_auroc(np.concatenate(heat), np.stack(truth))
    return PixelResult(found, len(masks), len(keys) - len(masks))


def _check(keys: list[str], masks: Masks) -> None:
    if strangers := sorted(set(masks) - set(keys)):
        raise InputError(
            f"mask {strangers[0]!r} is of no image (of {len(strangers)} such); need the folders "
            "and names of the images"
        )
    folders = defaultdict(list)
    for key in keys:
        folders[str(PurePosixPath(key).parent)].append(key)
    for folder, inside in folders.items():
        lacking = [key for key in inside if key not in masks]
        if lacking and len(lacking) < len(inside):
            raise InputError(
                f"images in {folder!r}: {len(lacking)} of {len(inside)} have no mask "
                f"({lacking[0]}); need one for each, or for none"
            )


def _key(name: str) -> str:
    """``crack/001`` of ``test/crack/001.png``."""
    path = PurePosixPath(name).with_suffix("")
    return str(path.relative_to(path.parts[0]) if path.parts[0] in SPLITS else path)
