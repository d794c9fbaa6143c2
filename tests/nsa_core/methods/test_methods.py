"""The registry of methods, and what a step of each must be like; see also ``test_contract``."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest
import torch

from nsa_core import InputError, NormVariant, methods
from nsa_core.augment import Augmentation, augment
from nsa_core.methods import SimCLR
from nsa_core.methods.method import Method
from nsa_core.models import ResNet
from tests.nsa_core.methods.small import FROM_SCRATCH, SMALL
from tests.nsa_core.waits import Waits

PAIRS = [(name, norm) for name in FROM_SCRATCH for norm in methods.norms(name)]


def test_every_method_has_a_size_for_tests():
    assert set(SMALL) == set(FROM_SCRATCH)


@pytest.mark.parametrize(("name", "norm"), PAIRS, ids=lambda v: str(v))
def test_a_few_steps_on_real_digits_lower_the_loss(digits, name, norm):
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 8), norm, SMALL[name])
    count = 4 if name == "goad" else 32  # of which it makes 72 times as many
    images = torch.from_numpy(digits[0].images[:count])
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 2e-3)
    losses = []
    for step in range(12):
        views = torch.Generator().manual_seed(0)  # the same views each time: no noise in the loss
        loss = method.loss(images, lambda x, n=1, g=views, **_: augment(x, Augmentation(), g, n))
        assert loss.shape == ()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step(torch.tensor(method.pace((step + 1) / 100)))
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_options_are_the_constructors_and_reach_it(name):
    known = methods.options(name)
    assert set(SMALL[name]) <= set(known)
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 2), NormVariant.NONE, SMALL[name])
    width = {"rotnet": 4, "goad": 16}.get(name) or SMALL[name]["projector_dim"]
    assert method.project(torch.randn(4, 16)).shape == (4, width)


@pytest.mark.parametrize("name", sorted({name for name, norm in PAIRS if norm.on_embedding}))
def test_f_norm_and_it_alone_makes_projections_ignore_the_length_of_embeddings(name):
    y = torch.rand(6, 16) + 0.1
    scale = torch.linspace(0.2, 5, 6)[:, None]
    for norm in (NormVariant.NONE, NormVariant.F):
        torch.manual_seed(0)
        method = methods.build(name, ResNet(10, 2), norm, SMALL[name])
        change = (method.project(y) - method.project(scale * y)).abs().max()
        assert (change < 1e-4) == (norm is NormVariant.F)


def test_the_count_of_waits_sees_what_it_is_for():
    x = torch.ones(3)
    for wait in (
        lambda: x.sum().item(),
        lambda: float(x[0]),
        lambda: torch.tensor([1.0, 2.0]),
        lambda: torch.as_tensor(3.0),
        lambda: x[x > 0],
        lambda: x.nonzero(),
        lambda: bool((x > 0).all()),
        lambda: x.cpu(),
        lambda: x.tolist(),
    ):
        with Waits() as waits:
            wait()
        assert waits.found, wait
    with Waits() as waits:
        x.add(1).mul(2.0).sum()
        torch.where(x > 0, x, 0.5)
    assert waits.found == []


@pytest.mark.parametrize(("name", "norm"), PAIRS, ids=lambda v: str(v))
def test_a_step_makes_no_tensor_from_python_values_and_waits_for_nothing(digits, name, norm):
    """Views are made beforehand: how is ``augment``'s affair, tested with it."""
    method = methods.build(name, ResNet(10, 8), norm, SMALL[name]).train()
    images = torch.from_numpy(digits[0].images[:8])
    stream, made = torch.Generator().manual_seed(0), []

    def making(x, n=1, **_):
        made.append(augment(x, Augmentation(), stream, n))
        return made[-1]

    method.loss(images, making)
    views = iter([*made, *made])
    optimiser = torch.optim.Adam(method.parameters(), fused=True)
    pace = torch.tensor(method.pace(0.5))
    with Waits() as waits:
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                loss = method.loss(images, lambda *_, **__: next(views))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            method.after_step(pace)
    assert waits.found == []


@pytest.mark.parametrize("scale", [None, "1", "sqrt-d"])
@pytest.mark.parametrize(
    ("name", "norm"),
    [pair for pair in PAIRS if "norm_scale" in methods.options(pair[0])],
    ids=lambda v: str(v),
)
def test_both_norms_give_vectors_the_length_that_norm_scale_says(digits, name, norm, scale):
    """METHODS, section 2.1: the input of projector and predictor, 1 unless asked for."""
    given = {} if scale is None else {"norm_scale": scale}
    method = methods.build(name, ResNet(10, 2), norm, {**SMALL[name], **given})
    squares = {}
    for head in ("projector", "predictor"):
        if hasattr(method, head):
            getattr(method, head).register_forward_pre_hook(
                lambda _, x, head=head: squares.update({head: x[0].square().sum(1) / x[0].shape[1]})
            )
    stream = torch.Generator().manual_seed(0)
    images = torch.from_numpy(digits[0].images[:8])
    method.loss(images, lambda x, n=1, **_: augment(x, Augmentation(), stream, n))
    normed = {"projector": norm.on_embedding, "predictor": norm.on_projection}
    for head, each in squares.items():
        width = getattr(method, head)[0].in_features
        wanted = torch.full_like(each, 1 if scale == "sqrt-d" else 1 / width)
        assert torch.allclose(each, wanted, rtol=1e-4) == normed[head], head


def test_a_norm_scale_that_is_not_known_is_refused_with_both():
    with pytest.raises(
        InputError, match="simsiam's option norm_scale is 'sqrt'; need one of: 1, sqrt-d"
    ):
        methods.checked_options("simsiam", {"norm_scale": "sqrt"})
    assert methods.checked_options("simsiam", {"norm_scale": 1}) == {"norm_scale": "1"}


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


def with_temperatures():
    """All classes of methods that take one, with its name: each is checked by itself, too."""
    modules = [
        import_module(f"nsa_core.methods.{each.name}") for each in iter_modules(methods.__path__)
    ]
    found = {kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)}
    for kind in sorted(
        (kind for kind in found if issubclass(kind, Method)), key=lambda k: k.__name__
    ):
        for option in inspect.signature(kind).parameters:
            if option.endswith("temperature"):
                yield pytest.param(kind, option, id=f"{kind.__name__}-{option}")


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
@pytest.mark.parametrize(("kind", "option"), with_temperatures())
def test_a_temperature_that_is_not_above_0_is_refused(kind, option, value):
    with pytest.raises(InputError, match=f"{option} is {value}"):
        kind(ResNet(10, 2), NormVariant.NONE, **{option: value})


@pytest.mark.parametrize(
    ("name", "norm"),
    [(name, norm) for name in FROM_SCRATCH for norm in NormVariant],
    ids=lambda v: str(v),
)
def test_a_norm_that_does_not_apply_is_refused_with_those_that_do(name, norm):
    if (name, norm) in PAIRS:
        assert methods.build(name, ResNet(10, 2), norm, SMALL[name]).encoder.features == 16
        return
    with pytest.raises(InputError, match=f"norm is '{norm}', which does not apply to {name}; use"):
        methods.build(name, ResNet(10, 2), norm, SMALL[name])


@pytest.mark.parametrize("norm", [NormVariant.G, NormVariant.BOTH], ids=str)
def test_simclr_refuses_a_g_norm_by_name(norm):
    with pytest.raises(InputError, match=f"norm is '{norm}', but SimCLR has no predictor"):
        SimCLR(ResNet(10, 2), norm)
