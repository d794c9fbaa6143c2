"""The contract of every method."""

import pytest
import torch

from nsa_core import InputError, NormVariant, methods
from nsa_core.augment import Augmentation, augment
from nsa_core.models import ResNet

HEADS = {
    "simsiam": {"projector_dim": 32, "predictor_dim": 16},
    "byol": {"projector_dim": 16, "hidden_dim": 32},
    "simclr": {"projector_dim": 16, "hidden_dim": 32},
}
PAIRS = [
    (name, norm)
    for name in methods.available()
    for norm in NormVariant
    if not (name == "simclr" and norm.on_projection)
]


def test_every_method_has_small_heads_here():
    assert set(HEADS) == set(methods.available())


@pytest.mark.parametrize(("name", "norm"), PAIRS, ids=lambda v: str(v))
def test_a_few_steps_on_real_digits_lower_the_loss(digits, name, norm):
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 8), norm, HEADS[name])
    images = torch.from_numpy(digits[0].images[:32])
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 2e-3)
    losses = []
    for step in range(12):
        views = torch.Generator().manual_seed(0)  # the same views each time: no noise in the loss
        loss = method.loss(images, lambda x, g=views: augment(x, Augmentation(), g))
        assert loss.shape == ()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step((step + 1) / 100)
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("name", methods.available())
def test_options_are_the_constructors_and_reach_it(name):
    known = methods.options(name)
    assert set(HEADS[name]) < set(known)
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 2), NormVariant.NONE, HEADS[name])
    assert method.project(torch.randn(4, 16)).shape == (4, HEADS[name]["projector_dim"])


@pytest.mark.parametrize("name", methods.available())
def test_f_norm_and_it_alone_makes_projections_ignore_the_length_of_embeddings(name):
    y = torch.rand(6, 16) + 0.1
    scale = torch.linspace(0.2, 5, 6)[:, None]
    for norm in (NormVariant.NONE, NormVariant.F):
        torch.manual_seed(0)
        method = methods.build(name, ResNet(10, 2), norm, HEADS[name])
        change = (method.project(y) - method.project(scale * y)).abs().max()
        assert (change < 1e-4) == (norm is NormVariant.F)


def test_unknown_methods_and_options_are_refused_by_name():
    encoder = ResNet(10, 2)
    with pytest.raises(InputError, match="unknown method 'simsam'; did you mean 'simsiam'"):
        methods.build("simsam", encoder, NormVariant.NONE, {})
    with pytest.raises(InputError, match="unknown method 'moco'"):
        methods.options("moco")
    with pytest.raises(InputError, match="unknown option of byol 'emma'; did you mean 'ema'"):
        methods.build("byol", encoder, NormVariant.NONE, {"emma": 0.9})
    with pytest.raises(InputError, match="simsiam's option projector_dim is 0"):
        methods.build("simsiam", encoder, NormVariant.NONE, {"projector_dim": 0})


@pytest.mark.parametrize("norm", [NormVariant.G, NormVariant.BOTH], ids=str)
def test_simclr_refuses_a_g_norm_by_name(norm):
    with pytest.raises(InputError, match=f"norm is '{norm}', but SimCLR has no predictor"):
        methods.build("simclr", ResNet(10, 2), norm, {})
