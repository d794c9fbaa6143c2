"""Where in a picture: how far each position's features lie from those of training positions.

A patch memory as in SPADE (Cohen & Hoshen 2020) and PatchCore (Roth et al. 2022), with a random
sample of positions in place of a core set. Its limits:

- Coarse: the encoder has few positions, 56 x 56 on a backbone at 224 pixels and 24 x 24 in the
  preset from scratch. Between them heat is interpolated, and their features see further than
  themselves: heat spreads around a small defect, and a thin or faint one drowns.
- Appearance alone: features of early stages know texture and edges, not what an object lacks or
  where its parts belong. A short training from scratch knows little of either.
- Not calibrated: heat is a distance between features. It has no threshold and no p-value, and is
  compared within and between pictures of one detector alone.
- What training pictures show is normal, their defects too; and a training picture is compared with
  positions of its own, so it looks cooler than a new one.
- It is no explanation of the detector's score, which is made of pooled features.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core.detector.images import Images
from nsa_core.errors import InputError
from nsa_core.methods import Method
from nsa_core.scorers.neighbours import Neighbours
from nsa_core.seeds import derive_seed
from nsa_core.training.precision import true_float32

if TYPE_CHECKING:
    from nsa_core.detector.detector import AnomalyDetector

Patches = npt.NDArray[np.float32]
"""[positions, d], features of training positions; [0, 0] of an encoder without maps."""

POSITIONS = 4096
_IMAGES = 128  # at most, that the positions are drawn from; embedding them takes time
_BATCH = 16  # pictures at a time; their maps are much larger than they are
_BLOCK = 1024  # positions at a time whose distances to the whole memory are held
_NEIGHBOURS = 3  # of which the mean is taken: one odd training position hides less
_PARTS = 3  # of the encoder that run: the stem and two stages


def heat_maps(detector: "AnomalyDetector", X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
    """Heat maps of images: float32 [N, H, W], 0 or more, higher is stranger.

    The maps are all there is that grows with N, 4 bytes a pixel: hand over those to be looked at.
    Their limits are those of this module.

    Args:
        detector: fitted.
        X: images as ``AnomalyDetector.anomaly_scores`` takes them.

    Raises:
        NotFittedError: the detector is not fitted.
        InputError: other images than the detector's, or a backbone that has no maps.
    """
    check_is_fitted(detector)
    return np.concatenate(
        [
            patch_heat(
                detector.method_,
                detector.patches_,
                detector.shrink_.of_uint8(images),
                detector.image_shape_[1:],
            )
            for images in detector._batches(X)
        ]
    )


def patch_memory(method: Method, images: Images, seed: int) -> Patches:
    """Features of 4,096 training positions, drawn at random from at most 128 pictures.

    As many of each picture, and fewer in all where there are fewer. Deterministic given method,
    pictures and seed.

    Args:
        method: trained; it is left in evaluation mode.
        images: uint8 [N, C, H, W], N >= 1, of training.
        seed: of the draw.
    """
    if len(method.encoder.parts()) < _PARTS:
        return np.zeros((0, 0), np.float32)
    stream = np.random.default_rng(derive_seed(seed, "patches"))
    some = np.sort(stream.permutation(len(images))[:_IMAGES])
    kept, taken = [], 0
    for start in range(0, len(some), _BATCH):
        batch = some[start : start + _BATCH]
        rows = _as_rows(_position_features(method, images[batch])).cpu().numpy()
        due = round(POSITIONS * (start + len(batch)) / len(some))  # after this batch
        kept.append(rows[np.sort(stream.permutation(len(rows))[: due - taken])])
        taken = due
    return np.concatenate(kept)


def patch_heat(
    method: Method, patches: Patches, images: Images, size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Heat maps of uint8 images [N, C, h, w] at a size (H, W): float32 [N, H, W].

    The mean distance of a position's features to the nearest three of the memory, interpolated
    bilinearly between positions. A few pictures pass at a time.

    Raises:
        InputError: an encoder without maps, or a memory of another one.
    """
    if len(method.encoder.parts()) < _PARTS:
        raise InputError(
            "heat maps are made of the maps of an encoder's stages, and this backbone gives "
            "nothing but its pooled output; use a ResNet or efficientnet_lite0"
        )
    bank = Neighbours(torch.from_numpy(patches).to(_device(method)).double())
    heat = np.empty((len(images), *size), np.float32)
    for start in range(0, len(images), _BATCH):
        features = _position_features(method, images[start : start + _BATCH])
        count, dimensions, height, width = features.shape
        if dimensions != patches.shape[1]:
            raise InputError(
                f"the patch memory has {patches.shape[1]} dimensions, and the encoder's positions "
                f"{dimensions}; it was made with another encoder"
            )
        blocks = _as_rows(features).double().split(_BLOCK)
        near = [bank.k_nearest(block, torch.float32, _NEIGHBOURS).mean(dim=1) for block in blocks]
        coarse = torch.cat(near).view(count, 1, height, width)
        fine = F.interpolate(coarse, size, mode="bilinear")
        heat[start : start + count] = fine.squeeze(1).cpu().numpy()
    return heat


def _position_features(method: Method, images: Images) -> Tensor:
    """Features of the positions of a few images, float32 [B, d, h, w].

    The maps of the first two stages, side by side: each averaged over 3 x 3 positions, brought to
    the larger one's size and scaled to length 1. Later ones are coarser, and of nets trained here
    hottest at the borders.
    """
    encoder, device = method.eval().encoder, _device(method)
    with torch.inference_mode(), true_float32(device):
        batch = torch.tensor(np.ascontiguousarray(images), device=device) / 255
        _, *maps = (each.float() for each in encoder.maps(batch, _PARTS))
        local = [F.avg_pool2d(each, 3, 1, 1, count_include_pad=False) for each in maps]
        size = local[0].shape[2:]
        sized = [F.interpolate(each, size, mode="bilinear") for each in local]
        return torch.cat([F.normalize(each, dim=1) for each in sized], dim=1)


def _as_rows(features: Tensor) -> Tensor:
    """[B, d, h, w] to [B h w, d]."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def _device(method: Method) -> torch.device:
    return next(method.encoder.parameters()).device
