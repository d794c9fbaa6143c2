import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nsa_core import methods
from nsa_core.augment import Augmentation, augment
from nsa_core.methods import MeanShifted
from nsa_core.models import NormVariant, ResNet
from tests.nsa_core.methods.tiny_backbone import adapt, tiny_backbone


def slow_loss(embeddings, centre, temperature) -> float:
    """Rows 2i and 2i + 1 are the views of an image; term by term, in float64."""
    shifted = []
    for y in embeddings:
        phi = y / np.sqrt((y**2).sum())
        shift = phi - centre
        shifted.append(shift / np.sqrt((shift**2).sum()))
    total = 0.0
    for i, anchor in enumerate(shifted):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = [k for k in range(len(shifted)) if k != i]
        below = sum(np.exp(anchor @ shifted[k] / temperature) for k in others)
        total -= np.log(np.exp(anchor @ shifted[partner] / temperature) / below)
    return total / len(shifted)


def test_the_loss_contrasts_angles_around_the_mean_of_unit_features():
    torch.manual_seed(0)
    method = MeanShifted(ResNet(10, 4), NormVariant.NONE).train()
    images = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8)
    method.begin(images)
    views = torch.rand(10, 1, 16, 16)
    with torch.inference_mode():
        y = method.encoder(images / 255).double().numpy()
        first, second = method.encoder(views).double().numpy().reshape(2, 5, -1)
        loss = method.loss(images, lambda _, n: views if n == 2 else None)
    centre = np.mean([row / np.linalg.norm(row) for row in y], axis=0)
    np.testing.assert_allclose(method.centre.numpy(), centre, rtol=1e-4, atol=1e-6)
    rows = np.stack([first, second], axis=1).reshape(10, -1)
    assert loss.item() == pytest.approx(slow_loss(rows, centre, 0.25), rel=1e-4)


def test_its_recipe_is_the_published_one():
    recipe = methods.recipe("msc")
    assert (recipe["optimiser"], recipe["learning_rate"], recipe["momentum"]) == ("sgd", 1e-5, 0.0)
    assert (recipe["batch_size"], recipe["budget"], recipe["weight_decay"]) == (64, 20, 5e-5)
    assert methods.options("msc") == {"temperature": 0.25}


def test_it_learns_to_find_the_other_view_of_digits_that_it_has_not_seen(digits):
    """Among 32 views, by the angle around the mean: what the loss asks for. The rate is far above
    the published one, as the backbone is tiny and the time short; longer, anomalies suffer.
    """
    train, test = digits
    recipe = Augmentation(crop_scale=(0.7, 1), flip=0.0)
    method = MeanShifted(tiny_backbone(train), NormVariant.NONE)
    normal, unseen = (torch.tensor(s.images[s.labels == 8]) for s in (train, test))
    stream = torch.Generator().manual_seed(1)
    views = [augment(unseen[:32], recipe, stream) for _ in range(2)]

    def found() -> float:
        with torch.inference_mode():
            z1, z2 = (F.normalize(method.project(method.encoder(v))) for v in views)
        return ((z1 @ z2.T).argmax(dim=1) == torch.arange(len(z1))).float().mean().item()

    method.begin(normal)
    before = found()
    adapt(method, normal, lambda x, g, n: augment(x, recipe, g, n), steps=60, rate=3e-2)
    method.eval()
    assert found() > before + 0.15, (before, found())
