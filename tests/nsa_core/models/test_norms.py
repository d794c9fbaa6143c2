import pytest
import torch
from torch import nn

from nsa_core.models import NormScale, NormVariant, UnitNorm, unit_norm_if


@pytest.mark.parametrize(
    ("name", "embedding", "projection"),
    [("none", False, False), ("f", True, False), ("g", False, True), ("both", True, True)],
)
def test_variants_say_where_the_normalisation_sits(name, embedding, projection):
    variant = NormVariant(name)
    assert variant.on_embedding is embedding
    assert variant.on_projection is projection
    assert str(variant) == name


def test_unit_norm_divides_each_row_by_its_length():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([row / sum(v * v for v in row) ** 0.5 for row in x])
    torch.testing.assert_close(UnitNorm()(x), expected)


def test_scaled_by_sqrt_d_coordinates_have_a_mean_square_of_1():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    scaled = unit_norm_if(True, NormScale.SQRT_D)(x)
    torch.testing.assert_close(scaled, 7**0.5 * UnitNorm()(x))
    torch.testing.assert_close(scaled.square().mean(dim=1), torch.ones(5))


def test_gradient_is_the_jacobian_of_x_over_its_length():
    x = torch.randn(6, generator=torch.Generator().manual_seed(0))
    unit = x / x.norm()
    expected = (torch.eye(6) - torch.outer(unit, unit)) / x.norm()
    jacobian = torch.autograd.functional.jacobian(UnitNorm(), x)
    torch.testing.assert_close(jacobian, expected)


def test_gradient_has_no_radial_part():
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (UnitNorm()(x) * torch.randn(20, 64)).sum().backward()
    radial = (x.double() * x.grad.double()).sum(1).abs() / (x.norm(dim=1) * x.grad.norm(dim=1))
    assert radial.max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_out_as_float32_and_does_not_overflow(dtype):
    x = torch.full((2, 1000), 60000.0).to(dtype)  # its squares exceed float16
    y = UnitNorm()(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, torch.full((2, 1000), 1000**-0.5))


def test_unit_norm_if_is_nothing_when_not_wanted():
    x = torch.randn(3, 4)
    assert isinstance(unit_norm_if(True), UnitNorm)
    assert isinstance(unit_norm_if(False), nn.Identity)
    assert torch.equal(unit_norm_if(False)(x), x)
