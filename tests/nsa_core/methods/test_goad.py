import dataclasses
import math

import pytest
import torch

from nsa_core import InputError, NormVariant, TrialConfig, methods
from nsa_core.augment import Augmentation
from nsa_core.methods.geometric import TRANSFORMS, geometric_transforms
from nsa_core.methods.goad import GOAD, centre_triplet, transform_scores
from nsa_core.models import ResNet
from tests.nsa_core.methods.learning import learned


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def triplet_by_loops(z, margin):
    """The centre triplet loss with Python's numbers, one feature at a time."""
    z = z.double().tolist()
    count = len(z[0])
    centres = [mean([image[m] for image in z]) for m in range(count)]
    total = 0.0
    for image in z:
        for m in range(count):
            others = [distance(image[m], centres[o]) for o in range(count) if o != m]
            total += max(0.0, distance(image[m], centres[m]) + margin - min(others))
    return total / (len(z) * count)


def score_by_loops(image, centres):
    """The score of one image with Python's numbers."""
    total = 0.0
    for m, feature in enumerate(image):
        likelihood = [math.exp(-distance(feature, centre)) for centre in centres]
        total -= math.log(likelihood[m] / sum(likelihood))
    return total


@pytest.mark.parametrize("margin", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("spread", [0.2, 3.0])
def test_centre_triplet_equals_a_loop(margin, spread):
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(1, 6, 4, generator=stream) + spread * torch.randn(5, 6, 4, generator=stream)
    assert centre_triplet(z, margin).item() == pytest.approx(triplet_by_loops(z, margin), rel=1e-4)


def test_its_gradient_passes_through_the_centres():
    """Finite differences of a loss whose centres move with the features."""
    z = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda each: centre_triplet(each, 1.0), z)


def test_centre_triplet_is_zero_when_centres_are_far_apart_and_the_margin_when_all_are_equal():
    apart = 10 * torch.eye(6).expand(4, 6, 6)
    assert centre_triplet(apart, 1.0).item() == 0
    assert centre_triplet(torch.ones(4, 6, 6), 0.25).item() == pytest.approx(0.25)


def test_scores_equal_a_loop():
    stream = torch.Generator().manual_seed(1)
    z, centres = torch.randn(5, 6, 4, generator=stream), torch.randn(6, 4, generator=stream)
    found = transform_scores(z, centres)
    assert found.dtype == torch.float64
    expected = [score_by_loops(i, centres.double().tolist()) for i in z.double().tolist()]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_a_feature_at_its_own_centre_is_less_anomalous_than_one_at_another():
    centres = 3 * torch.eye(6)
    swapped = centres[[1, 0, 2, 3, 4, 5]]
    good, bad = transform_scores(torch.stack([centres, swapped]), centres)
    assert 0 <= good < 1e-3
    assert bad == pytest.approx(2 * 18, abs=1e-3)  # two features, each 2 * 3^2 off


@pytest.mark.parametrize("weights", [(0.1, 10.0), (2.0, 0.5)])
def test_loss_is_the_sum_of_its_three_parts_over_real_digits(digits, weights):
    torch.manual_seed(0)
    triplet, square = weights
    method = GOAD(
        ResNet(10, 4), NormVariant.NONE, margin=0.3, triplet_weight=triplet, square_weight=square
    )
    images = torch.from_numpy(digits[0].images[:3])
    loss = method.loss(images, None)
    views = geometric_transforms(images).flatten(0, 1).float() / 255
    z = method.encoder(views)
    log_p = method.classifier[0](z).double().log_softmax(1)
    truth = [index % TRANSFORMS for index in range(3 * TRANSFORMS)]
    classified = -sum(log_p[i, m].item() for i, m in enumerate(truth)) / len(truth)
    parts = triplet_by_loops(z.view(3, TRANSFORMS, -1), 0.3), z.double().square().mean().item()
    expected = classified + triplet * parts[0] + square * parts[1]
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_every_part_of_the_loss_has_a_gradient(digits):
    torch.manual_seed(0)
    method = GOAD(ResNet(10, 4), NormVariant.NONE)
    method.loss(torch.from_numpy(digits[0].images[:3]), None).backward()
    for name, value in method.named_parameters():
        assert value.grad.abs().max() > 0, name


def test_norms_are_refused():
    with pytest.raises(InputError, match="norm is 'f', which does not apply to goad; use one of"):
        methods.build("goad", ResNet(10, 2), NormVariant.F, {})


def test_the_recipe_is_the_published_one():
    """METHODS, section 2.6: 4 images of 72 transforms are its batch of 288."""
    config = TrialConfig(method="goad", **methods.recipe("goad"))
    assert (config.optimiser, config.learning_rate, config.budget) == ("adam", 1e-3, 16)
    assert config.batch_size * TRANSFORMS == 288
    assert methods.options("goad") == {
        "margin": 0.1, "triplet_weight": 0.1, "square_weight": 10.0
    }  # fmt: skip


def test_its_score_has_centres_over_all_training_images_in_evaluation_mode(digits):
    """Against the same in one piece; blocks are of 8 images."""
    torch.manual_seed(0)
    method = GOAD(ResNet(10, 4), NormVariant.NONE)
    train, test = (torch.from_numpy(part.images[:11]) for part in digits)
    method.encoder(torch.rand(64, 1, 16, 16))  # running statistics unlike a batch's own
    method.eval()
    with torch.no_grad():
        found = method.own_scores(train, test, Augmentation(), torch.Generator())["goad"]
        z = [
            method.encoder(geometric_transforms(each).flatten(0, 1) / 255) for each in (train, test)
        ]
    known, asked = (each.view(11, TRANSFORMS, -1).double() for each in z)
    centres = known.mean(0).tolist()
    expected = [score_by_loops(image, centres) for image in asked[:3].tolist()]
    assert found[:3].tolist() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(found, transform_scores(asked, known.mean(0)), rtol=1e-4, atol=1e-4)


def test_a_short_training_on_real_digits_learns_what_the_loss_says(digits):
    """Digit 9, seed 0: its own score .80 -> .97 (200 test images), and of normal images .8 of the
    turns are told among all 72 transforms, of which chance tells one.

    Killed by it: transforms exchanged, the same transform 72 times, no cross-entropy: the square of
    the features is then all there is to lower, and they die.
    """
    seen, unseen = digits
    few = dataclasses.replace(unseen, images=unseen.images[:200], labels=unseen.labels[:200])
    before, after = learned(
        "goad", (seen, few), 9, batch_size=4, budget=4, learning_rate=1e-2, stem="3x3/2"
    )
    assert after.auroc["goad"] > before.auroc["goad"] + 0.1
    assert after.auroc["goad"] > 0.93
    assert before.turns < 0.3
    assert after.turns > 0.5
