import copy

import numpy as np
import pytest
import torch

from nsa_core import TrialConfig, auroc, methods
from nsa_core.methods import PANDA
from nsa_core.methods.panda import compactness
from nsa_core.models import NormVariant, ResNet
from nsa_core.training.optimiser import build_optimiser
from tests.nsa_core.methods.tiny_backbone import adapt, tiny_backbone


def test_the_loss_is_the_mean_squared_distance_to_the_centre_over_the_width():
    stream = np.random.default_rng(0)
    features, centre = stream.normal(size=(5, 7)), stream.normal(size=7)
    total = 0.0
    for row in features:
        total += sum((a - c) ** 2 for a, c in zip(row, centre, strict=True)) / 7
    assert compactness(torch.tensor(features), torch.tensor(centre)).item() == pytest.approx(
        total / 5
    )


def test_it_trains_on_the_images_themselves():
    torch.manual_seed(0)
    method = PANDA(ResNet(10, 4), NormVariant.NONE).train()
    images = torch.randint(0, 256, (6, 1, 16, 16), dtype=torch.uint8)
    method.begin(images[:4])
    loss = method.loss(images, None)  # no views
    y = method.encoder(images / 255)
    torch.testing.assert_close(loss, compactness(y, y[:4].mean(dim=0)))
    assert not method.centre.requires_grad


def test_a_step_is_as_long_as_the_clipped_gradient_allows():
    """SGD without momentum or decay moves by the rate times the gradient, 1e-3 long at most."""
    torch.manual_seed(0)
    method = PANDA(ResNet(10, 4), NormVariant.NONE).train()
    images = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8)
    settings = TrialConfig(
        method="simsiam", optimiser="sgd", momentum=0.0, learning_rate=1e-2
    )  # of which the optimiser alone is taken
    optimiser = build_optimiser(method, settings)
    before = [each.clone() for each in method.parameters()]
    (1e3 * method.loss(images, None)).backward()
    method.before_step()
    optimiser.step()
    moved = [(b - a).square().sum() for a, b in zip(before, method.parameters(), strict=True)]
    assert sum(moved).sqrt().item() == pytest.approx(1e-2 * 1e-3, rel=1e-2)


def test_its_recipe_is_the_published_one():
    recipe = methods.recipe("panda")
    assert (recipe["optimiser"], recipe["learning_rate"], recipe["momentum"]) == ("sgd", 1e-2, 0.9)
    assert (recipe["batch_size"], recipe["budget"], recipe["weight_decay"]) == (32, 15, 5e-5)
    assert methods.options("panda") == {"clip_norm": 1e-3}


def test_it_learns_to_tell_digits_that_the_backbone_has_never_seen(digits):
    """With steps a hundred times longer than published: the backbone is tiny and the time short."""
    train, test = digits
    backbone = tiny_backbone(train)
    unseen = test.labels >= 5
    queries = torch.tensor(test.images[unseen])
    before, after = [], []
    for digit in (5, 8):
        method = PANDA(copy.deepcopy(backbone), NormVariant.NONE, clip_norm=1e-2)
        normal = torch.tensor(train.images[train.labels == digit])

        def area(method=method, normal=normal, digit=digit):
            score = method.own_scores(normal, queries, None, None)["panda-2nn"]
            return auroc(score.numpy(), test.labels[unseen] != digit)

        before.append(area())
        adapt(method, normal, None, steps=60, rate=0.1)
        after.append(area())
    assert np.mean(after) > np.mean(before) + 0.02, (before, after)
