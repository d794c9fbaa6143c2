"""What g-norm and f-norm are for (METHODS, section 2.1), and that silent no-ops are caught."""

import pytest
import torch
import torch.nn.functional as F

from nsa_core import NormVariant
from nsa_core.methods import BYOL, SimSiam
from nsa_core.methods.simsiam import negative_cosine
from nsa_core.models import ResNet

ROWS, DIM = 32, 24


class SimSiamTargetOnly(SimSiam):
    """A mutant: normalises the target and leaves the predictor's input as it is."""

    def predict(self, projection):
        return self.predictor(projection)

    def loss_of(self, projections):
        z1, z2 = F.normalize(projections.detach(), dim=-1).chunk(2)
        return negative_cosine(self.predict(projections), torch.cat([z2, z1]))


class SimSiamInsideLoss(SimSiamTargetOnly):
    """A mutant: normalises prediction and target inside the loss, where it changes nothing."""

    def loss_of(self, projections):
        z1, z2 = F.normalize(projections.detach(), dim=-1).chunk(2)
        predicted = F.normalize(self.predict(projections), dim=-1)
        return negative_cosine(predicted, torch.cat([z2, z1]))


class BYOLTargetOnly(BYOL):
    """A mutant as above."""

    def predict(self, projection):
        return self.predictor(projection)

    def loss_of(self, projections, targets):
        return super().loss_of(projections, F.normalize(targets, dim=-1))


class BYOLInsideLoss(BYOLTargetOnly):
    """A mutant as above."""

    def loss_of(self, projections, targets):
        target1, target2 = F.normalize(targets.detach(), dim=-1).chunk(2)
        predicted = F.normalize(self.predict(projections), dim=-1)
        return 2 + 2 * negative_cosine(predicted, torch.cat([target2, target1]))


def build(kind, norm):
    torch.manual_seed(0)
    heads = (
        {"projector_dim": DIM, "predictor_dim": 48}
        if issubclass(kind, SimSiam)
        else {"projector_dim": DIM, "hidden_dim": 48}
    )
    return kind(ResNet(10, 4), norm, **heads)


def loss_of(method, z):
    """The loss with z as projections; BYOL's target is something else and stays."""
    if isinstance(method, SimSiam):
        return method.loss_of(z)
    return method.loss_of(z, torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(5)))


def sensitivity(method, loss, x):
    """How much a rescale of each row moves the loss; the gradient's largest radial share."""
    rescale = torch.linspace(0.3, 3, len(x))[torch.randperm(len(x))][:, None]
    moved = abs(loss(rescale * x) - loss(x)).item()
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x), x)
    lengths = x.detach().norm(dim=1) * gradient.norm(dim=1)
    assert lengths.min() > 0
    radial = (x.detach().double() * gradient.double()).sum(1).abs() / lengths
    return moved, radial.max().item()


def of_projection(kind, norm):
    method = build(kind, norm)
    z = torch.randn(ROWS, DIM)
    return sensitivity(method, lambda x: loss_of(method, x), z)


def of_embedding(kind, norm):
    method = build(kind, norm)
    y = torch.rand(ROWS, 32) + 0.1
    return sensitivity(method, lambda x: loss_of(method, method.project(x)), y)


# the heads compute in float32, whatever they are given, so this is as exact as it gets
INVARIANT, DEPENDS = 1e-5, 1e-3


@pytest.mark.parametrize("norm", [NormVariant.G, NormVariant.BOTH], ids=str)
@pytest.mark.parametrize("kind", [SimSiam, BYOL])
def test_with_g_norm_the_length_of_a_projection_has_no_effect_and_no_gradient(kind, norm):
    moved, radial = of_projection(kind, norm)
    assert moved < INVARIANT
    assert radial < INVARIANT


@pytest.mark.parametrize("norm", [NormVariant.NONE, NormVariant.F], ids=str)
@pytest.mark.parametrize("kind", [SimSiam, BYOL])
def test_without_g_norm_the_length_of_a_projection_moves_the_loss(kind, norm):
    moved, radial = of_projection(kind, norm)
    assert moved > DEPENDS
    assert radial > DEPENDS


@pytest.mark.parametrize("norm", [NormVariant.F, NormVariant.BOTH], ids=str)
@pytest.mark.parametrize("kind", [SimSiam, BYOL])
def test_with_f_norm_the_length_of_an_embedding_has_no_effect_and_no_gradient(kind, norm):
    moved, radial = of_embedding(kind, norm)
    assert moved < INVARIANT
    assert radial < INVARIANT


@pytest.mark.parametrize("norm", [NormVariant.NONE, NormVariant.G], ids=str)
@pytest.mark.parametrize("kind", [SimSiam, BYOL])
def test_without_f_norm_the_length_of_an_embedding_moves_the_loss(kind, norm):
    moved, radial = of_embedding(kind, norm)
    assert moved > DEPENDS
    assert radial > DEPENDS


@pytest.mark.parametrize(
    "mutant", [SimSiamTargetOnly, SimSiamInsideLoss, BYOLTargetOnly, BYOLInsideLoss]
)
def test_mutants_that_normalise_elsewhere_violate_the_property(mutant):
    moved, radial = of_projection(mutant, NormVariant.G)
    assert moved > DEPENDS
    assert radial > DEPENDS
    # and they are what the plain method is: normalising there changes nothing
    original = SimSiam if issubclass(mutant, SimSiam) else BYOL
    method, plain = build(mutant, NormVariant.G), build(original, NormVariant.NONE)
    z = torch.randn(ROWS, DIM)
    torch.testing.assert_close(loss_of(method, z), loss_of(plain, z), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", list(NormVariant), ids=str)
def test_normalising_the_target_changes_nothing(norm):
    """cos(p, z) = cos(p, z / |z|)."""
    method = build(BYOL, norm)
    z, target = torch.randn(2, ROWS, DIM)
    plain, unit = method.loss_of(z, target), method.loss_of(z, F.normalize(target, dim=-1))
    torch.testing.assert_close(plain, unit, rtol=0, atol=1e-6)
    p = method.predict(z)
    torch.testing.assert_close(
        negative_cosine(p, z), negative_cosine(p, F.normalize(z, dim=-1)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("norm", list(NormVariant), ids=str)
@pytest.mark.parametrize("kind", [SimSiam, BYOL])
def test_both_views_count_alike(kind, norm):
    method = build(kind, norm)
    z = torch.randn(ROWS, DIM)
    target = torch.randn(ROWS, DIM)
    arguments = [(z,), (z.roll(ROWS // 2, 0),)]
    if kind is BYOL:
        arguments = [(z, target), (z.roll(ROWS // 2, 0), target.roll(ROWS // 2, 0))]
    torch.testing.assert_close(method.loss_of(*arguments[0]), method.loss_of(*arguments[1]))
