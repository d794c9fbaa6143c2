"""AUROC of pixels, where masks of defects exist."""

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError
from nsa_core.metrics.auroc import auroc


def pixel_auroc(heat: npt.ArrayLike, masks: npt.ArrayLike) -> float:
    """``auroc`` of all pixels of all pictures together, in [0, 1].

    It weighs defects by their area: large ones count most, and missing small ones costs little.

    Args:
        heat: [N, H, W] real numbers, higher is more anomalous, on one scale in all pictures.
        masks: [N, H, W] booleans, or 0 and 1; 1 is a defect.

    Raises:
        InputError: shapes that differ, NaN, masks of other values, or without one of the two.
    """
    values, defect = np.asarray(heat), np.asarray(masks)
    if values.ndim != 3 or values.shape != defect.shape:
        raise InputError(
            f"heat {list(values.shape)} and masks {list(defect.shape)}: need two of [N, H, W]"
        )
    return auroc(values.ravel(), defect.ravel())
