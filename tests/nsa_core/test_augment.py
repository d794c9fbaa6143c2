import dataclasses
import hashlib
import math

import numpy as np
import pytest
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from scipy import stats
from torch._subclasses import FakeTensorMode

from nsa_core.augment import (
    Augmentation,
    ViewParams,
    apply_views,
    augment,
    make_views,
    sample_views,
)
from nsa_core.augment.apply import grid
from nsa_core.augment.sample import distributions, draw
from nsa_core.errors import InputError
from tests.nsa_core.kernels import Kernels
from tests.nsa_core.waits import Waits

COUNT = 300
STRONG = Augmentation(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.4, grey=0.3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(count: int, channels: int = 3, size: tuple[int, int] = (32, 32)) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, *size), dtype=torch.uint8, generator=seeded(9))


def by_torchvision(image: torch.Tensor, p: ViewParams, row: int) -> torch.Tensor:
    """One image [C, H, W] by torchvision's own functions."""
    box = [int(value[row]) for value in (p.top, p.left, p.height, p.width)]
    view = TF.resized_crop(image.float() / 255, *box, list(image.shape[1:]), antialias=True)
    if p.flip[row]:
        view = TF.hflip(view)
    if p.jitter[row]:
        steps = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]
        for kind in p.order[row].tolist():
            view = steps[kind](view, float(p.factor[row, kind]))
    if p.grey[row]:
        view = TF.rgb_to_grayscale(view, image.shape[0])
    return view


@pytest.mark.parametrize("recipe", [Augmentation(), STRONG], ids=["default", "strong"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)], ids=["square", "oblong"])
def test_views_equal_torchvisions_functions_image_by_image(recipe, size):
    images = random_images(COUNT, size=size)
    params = sample_views(recipe, COUNT, size, seeded(1))
    views = apply_views(images, params)
    assert views.dtype == torch.float32
    assert views.shape == images.shape
    expected = torch.stack([by_torchvision(images[i], params, i) for i in range(COUNT)])
    assert (views - expected).abs().max() < 1e-5


def test_views_of_smooth_and_saturated_images_equal_torchvisions():
    """Flat, pure-coloured and black pixels are the corners of hue and saturation."""
    corners = torch.tensor(np.array(np.meshgrid(*[[0, 128, 255]] * 3)).reshape(3, -1).T)
    images = corners.to(torch.uint8)[:, :, None, None].expand(-1, -1, 8, 8).contiguous()
    params = sample_views(STRONG, len(images), (8, 8), seeded(2))
    params = params._replace(jitter=torch.ones_like(params.jitter))
    expected = torch.stack([by_torchvision(images[i], params, i) for i in range(len(images))])
    assert (apply_views(images, params) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("recipe", [Augmentation(), STRONG], ids=["default", "strong"])
def test_views_of_grey_images_equal_torchvisions_functions(recipe):
    grey = random_images(COUNT, channels=1)
    params = sample_views(recipe, COUNT, (32, 32), seeded(3))
    expected = torch.stack([by_torchvision(grey[i], params, i) for i in range(COUNT)])
    assert (apply_views(grey, params) - expected).abs().max() < 1e-5


def test_grey_images_give_the_same_as_replicated_to_three_channels():
    grey = random_images(COUNT, channels=1)
    params = sample_views(STRONG, COUNT, (32, 32), seeded(3))
    narrow = apply_views(grey, params)
    wide = apply_views(grey.expand(-1, 3, -1, -1).contiguous(), params)
    assert narrow.shape == (COUNT, 1, 32, 32)
    # torchvision's luma weights sum to 0.9999, so each of three colour steps may take 1e-4 off
    assert (narrow - wide).abs().max() < 6e-4


def test_neutral_parameters_give_the_image_itself():
    images = random_images(4)
    recipe = Augmentation((1, 1), (1, 1), 0, 0, 0, 0, 0, 0, 0)
    assert (augment(images, recipe, seeded()) - images / 255).abs().max() < 1e-6


def test_one_seed_gives_the_same_bits_and_another_does_not():
    images = random_images(64)
    first, again, other = (augment(images, STRONG, seeded(s)) for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_views_keep_the_bits_that_recorded_trainings_were_made_with():
    """Of a seed's parameters: whole numbers and flags, which rounding hardly ever reaches."""
    params = sample_views(STRONG, 64, (24, 40), seeded(5))
    digest = hashlib.sha256()
    for name in ("top", "left", "height", "width", "flip", "jitter", "order", "grey"):
        digest.update(getattr(params, name).numpy().tobytes())
    assert digest.hexdigest()[:16] == "0fe64b871068e0ef"


def test_a_view_makes_no_tensor_from_python_values_and_waits_for_nothing():
    """A recipe's numbers are put on the device once. Images are chosen by index on a CPU alone."""
    images = random_images(8)
    sample_views(STRONG, 8, (32, 32), seeded())
    with Waits() as waits:
        params = sample_views(STRONG, 8, (32, 32), seeded())
    assert waits.found == []
    with Waits() as waits:
        apply_views(images, params)
    assert set(waits.found) == {"nonzero"}


def test_what_a_captured_step_reads_stays_where_it_is_whatever_else_is_met():
    """A search has a recipe a trial, and its pack lives on."""
    device = torch.device("cpu")
    recipe, square = distributions(STRONG, (32, 32), device), grid((32, 32), device)
    for other in range(200):
        distributions(dataclasses.replace(STRONG, flip=other / 200), (32, 32), device)
        grid((32, 33 + other), device)
    assert distributions(STRONG, (32, 32), device) is recipe
    assert grid((32, 32), device) is square


@pytest.mark.parametrize("shape", [(40, 3, 32, 32), (300, 1, 28, 28), (5, 3, 24, 40)], ids=str)
def test_two_views_at_once_have_the_bits_of_one_after_the_other(shape):
    """More of them than a CPU takes in one block, and as recorded trainings were made."""
    count, channels, *size = shape
    images = random_images(count, channels, tuple(size))
    one, two = seeded(4), seeded(4)
    apart = [augment(images, STRONG, one) for _ in range(2)]
    assert torch.equal(augment(images, STRONG, two, 2), torch.cat(apart))
    assert torch.equal(one.get_state(), two.get_state())


def luma(view):
    return 0.2989 * view[0] + 0.587 * view[1] + 0.114 * view[2]


def turned(view, turns):
    """One view by the formula of hue as it is written."""
    value, brightest = view.max(dim=0)
    chroma = value - view.amin(dim=0)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    red, green, blue = view
    seen = [((green - blue) / safe) % 6, (blue - red) / safe + 2, (red - green) / safe + 4]
    hue = torch.stack(seen).gather(0, brightest[None])[0] + 6 * turns
    ks = [(hue + n) % 6 for n in (5, 3, 1)]
    return torch.stack([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in ks])


def test_views_keep_the_bits_of_each_images_steps_one_after_the_other():
    """Recorded trainings were made so, step by step, before all images took them together."""
    images = random_images(COUNT)
    params = sample_views(STRONG, COUNT, (32, 32), seeded(1))
    no = torch.zeros(COUNT, dtype=torch.bool)
    crops = apply_views(images, params._replace(jitter=no, grey=no))
    views = apply_views(images, params._replace(grey=no))
    for view, crop, jitter, order, factor in zip(
        views, crops, params.jitter, params.order, params.factor, strict=True
    ):
        for kind in order.tolist() if jitter else ():
            f = factor[kind]
            if kind == 0:
                crop = (f * crop).clamp(0, 1)
            elif kind == 1:
                crop = (f * crop + (1 - f) * luma(crop).mean()).clamp(0, 1)
            elif kind == 2:
                crop = (f * crop + (1 - f) * luma(crop)).clamp(0, 1)
            else:
                crop = turned(crop, f)
        assert torch.equal(view, crop)


def test_both_views_of_a_step_are_at_most_150_kernels_on_cuda():
    """They were 821. Counted on tensors that have a device and no memory."""
    size, cpu = (32, 32), torch.device("cpu")
    tables = distributions(STRONG, size, cpu), grid(size, cpu)
    given = torch.empty(32, 3, *size, dtype=torch.uint8), draw(32, 2, seeded())
    with FakeTensorMode(allow_non_fake_inputs=True):
        on_cuda = [on_fake_cuda(each) for each in (*given, *tables)]
        with Kernels() as kernels:
            views = make_views(*on_cuda)
    assert views.shape == (64, 3, *size)
    assert 100 < kernels.count < 150
    assert {"nonzero", "index"}.isdisjoint(kernels.names)


def on_fake_cuda(value):
    if isinstance(value, tuple):
        return type(value)(*map(on_fake_cuda, value))
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="cuda")
    return value


def test_on_cuda_every_view_takes_all_steps_and_has_the_same_pixels(monkeypatch):
    """The way without indices, taken on a CPU here."""
    monkeypatch.setattr("nsa_core.augment.apply._eager_on_cpu", lambda images: False)
    images = random_images(COUNT)
    params = sample_views(STRONG, COUNT, (32, 32), seeded(1))
    expected = torch.stack([by_torchvision(images[i], params, i) for i in range(COUNT)])
    with Waits() as waits:
        views = apply_views(images, params)
    assert waits.found == []
    assert (views - expected).abs().max() < 1e-5
    monkeypatch.undo()
    assert (views - apply_views(images, params)).abs().max() < 1e-6


def test_input_images_are_left_as_they_were():
    images = random_images(16)
    before = images.clone()
    augment(images, STRONG, seeded())
    assert torch.equal(images, before)


def test_global_random_state_is_neither_read_nor_written():
    images = random_images(8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = augment(images, STRONG, seeded())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(augment(images, STRONG, seeded()), first)


def same_distribution(ours, theirs) -> bool:
    return stats.ks_2samp(np.asarray(ours), np.asarray(theirs)).pvalue > 1e-3


@pytest.fixture(scope="module")
def sampled():
    return sample_views(Augmentation(), 4000, (32, 32), seeded(11))


@pytest.mark.parametrize(
    ("scale", "ratio", "size"),
    [
        ((0.2, 1.0), (3 / 4, 4 / 3), (32, 32)),
        ((0.08, 1.0), (3 / 4, 4 / 3), (32, 32)),
        ((0.5, 1.0), (2.0, 4.0), (32, 32)),  # most boxes do not fit: the centre is taken often
        ((0.3, 0.9), (0.5, 2.0), (24, 48)),
    ],
    ids=["default", "small", "fallback", "oblong"],
)
def test_crop_boxes_are_distributed_as_random_resized_crops(scale, ratio, size):
    recipe = Augmentation(crop_scale=scale, crop_ratio=ratio)
    p = sample_views(recipe, 3000, size, seeded(12))
    ours = torch.stack([p.top, p.left, p.height, p.width]).double()
    image = torch.zeros(3, *size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        boxes = [T.RandomResizedCrop.get_params(image, scale, ratio) for _ in range(3000)]
    theirs = torch.tensor(boxes, dtype=torch.float64).T
    for name, a, b in zip(("top", "left", "height", "width"), ours, theirs, strict=True):
        assert same_distribution(a, b), name
    for name, of in (
        ("area", lambda b: b[2] * b[3]),
        ("ratio", lambda b: b[3] / b[2]),
        ("bottom", lambda b: b[0] + b[2]),
        ("right", lambda b: b[1] + b[3]),
    ):
        assert same_distribution(of(ours), of(theirs)), name


@pytest.mark.parametrize("ratio", [(3.0, 4.0), (0.2, 0.25)], ids=["wide", "tall"])
def test_when_no_box_fits_the_centre_is_taken_as_by_torchvision(ratio):
    recipe = Augmentation(crop_scale=(0.9, 1.0), crop_ratio=ratio)
    p = sample_views(recipe, 5, (30, 33), seeded())
    box = T.RandomResizedCrop.get_params(torch.zeros(3, 30, 33), (0.9, 1.0), ratio)
    assert {tuple(row) for row in torch.stack(p[:4], dim=1).tolist()} == {tuple(box)}


def test_jitter_factors_are_distributed_as_colour_jitters(sampled):
    theirs = []
    jitter = T.ColorJitter(0.4, 0.4, 0.4, 0.1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(14)
        for _ in range(4000):
            parts = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
            theirs.append(jitter.get_params(*parts)[1:])
    for kind, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        assert same_distribution(sampled.factor[:, kind], [row[kind] for row in theirs]), name


def test_jitter_factors_are_never_negative():
    strong = Augmentation(brightness=1.5, contrast=1.5, saturation=1.5)
    factor = sample_views(strong, 2000, (8, 8), seeded()).factor[:, :3]
    assert factor.min() >= 0
    jitter = T.ColorJitter(1.5)
    assert factor.max() <= jitter.brightness[1]
    expected = np.random.default_rng(0).uniform(*jitter.brightness, 2000)
    assert same_distribution(factor[:, 0], expected)


def test_each_of_the_24_orders_of_the_colour_steps_is_as_likely(sampled):
    orders, counts = np.unique(sampled.order.numpy(), axis=0, return_counts=True)
    assert len(orders) == math.factorial(4)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("name", "rate"), [("flip", 0.5), ("jitter", 0.8), ("grey", 0.2)])
def test_flip_jitter_and_grey_come_at_their_rates(sampled, name, rate):
    hits = int(getattr(sampled, name).sum())
    assert stats.binomtest(hits, 4000, rate).pvalue > 1e-3


def test_flip_jitter_grey_and_position_are_independent(sampled):
    table = np.stack([sampled.flip, sampled.jitter, sampled.grey, sampled.top, sampled.left])
    correlation = np.corrcoef(table.astype(float))[:3]
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(4000)


def test_probabilities_of_0_and_1_are_never_and_always():
    never = sample_views(Augmentation(flip=0, jitter=0, grey=0), 500, (8, 8), seeded())
    always = sample_views(Augmentation(flip=1, jitter=1, grey=1), 500, (8, 8), seeded())
    for name in ("flip", "jitter", "grey"):
        assert not getattr(never, name).any()
        assert getattr(always, name).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_scale": (0, 1)}, r"augment.crop_scale is \(0.0, 1.0\); need 0 < low <= high <= 1"),
        ({"crop_scale": (0.5, 1.1)}, "augment.crop_scale"),
        ({"crop_scale": (0.9, 0.2)}, "augment.crop_scale"),
        ({"crop_scale": (0.2, 0.5, 1.0)}, "augment.crop_scale"),
        ({"crop_scale": (float("nan"), 1)}, "augment.crop_scale"),
        ({"crop_ratio": (-1, 1)}, "augment.crop_ratio"),
        ({"crop_ratio": (2, 1)}, "augment.crop_ratio"),
        ({"flip": 1.5}, r"augment.flip is 1.5; need a number in \[0, 1.0\]"),
        ({"jitter": -0.1}, "augment.jitter is -0.1"),
        ({"grey": 2}, "augment.grey is 2.0"),
        ({"hue": 0.6}, r"augment.hue is 0.6; need a number in \[0, 0.5\]"),
        ({"brightness": -1}, "augment.brightness is -1.0"),
        ({"contrast": float("nan")}, "augment.contrast is nan"),
        ({"saturation": -0.5}, "augment.saturation"),
    ],
)
def test_bad_recipes_are_refused_by_name_and_value(changes, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**changes)


def test_a_recipe_from_json_equals_the_one_it_was_made_of():
    assert Augmentation(crop_scale=[0.2, 1], flip=1) == Augmentation((0.2, 1.0), flip=1.0)
    assert hash(Augmentation(crop_scale=[0.2, 1])) == hash(Augmentation())


def test_a_weakened_recipe_is_scaled_towards_no_change():
    recipe = Augmentation(crop_scale=(0.2, 0.9), flip=0.3, brightness=0.8, hue=0.2, grey=0.4)
    half = recipe.weakened(0.5)
    assert half.crop_scale == pytest.approx((0.6, 0.95))
    assert half.crop_ratio == pytest.approx((0.75**0.5, (4 / 3) ** 0.5))
    strengths = (half.brightness, half.contrast, half.saturation, half.hue)
    assert strengths == pytest.approx((0.4, 0.2, 0.2, 0.1))
    assert (half.flip, half.jitter, half.grey) == (0.3, 0.8, 0.4)
    assert recipe.weakened(1) is recipe
    images = random_images(8)
    still = dataclasses.replace(recipe, flip=0, grey=0).weakened(0)
    torch.testing.assert_close(augment(images, still, seeded()), images / 255, rtol=0, atol=2e-6)


def test_weaker_views_are_nearer_to_the_image(digits):
    images = torch.from_numpy(digits[0].images[:64])
    recipe = Augmentation(flip=0)
    apart = [
        (augment(images, recipe.weakened(strength), seeded()) - images / 255).square().mean()
        for strength in (0.25, 0.5, 0.75, 1.0)
    ]
    assert apart == sorted(apart)
