import math

import pytest
import torch

from nsa_core import NormVariant
from nsa_core.methods import SimCLR
from nsa_core.methods.simclr import nt_xent
from nsa_core.models import ResNet
from tests.nsa_core.methods.two_views import loss_and_projections


def double_loop(z1, z2, temperature):
    """NT-Xent with Python's numbers, one anchor and one candidate at a time."""
    rows = [row.tolist() for row in torch.cat([z1, z2]).double()]

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    count, total = len(z1), 0.0
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        candidates = [
            math.exp(cosine(rows[i], rows[j]) / temperature) for j in range(2 * count) if j != i
        ]
        total -= math.log(math.exp(cosine(rows[i], rows[partner]) / temperature) / sum(candidates))
    return total / (2 * count)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_nt_xent_equals_a_double_loop(count, temperature):
    z1, z2 = torch.randn(2, count, 5, generator=torch.Generator().manual_seed(count))
    z2 = z1 + 0.5 * z2
    value = nt_xent(z1, z2, temperature).item()
    assert value == pytest.approx(double_loop(z1, z2, temperature), rel=1e-5, abs=1e-6)


def test_nt_xent_of_equal_rows_is_the_log_of_the_candidates():
    z = torch.ones(8, 4)
    assert nt_xent(z, z, 0.2).item() == pytest.approx(math.log(15), rel=1e-6)


def test_nt_xent_has_gradients_on_both_sides_that_do_not_point_along_z():
    z = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    nt_xent(z[0], z[1], 0.2).backward()
    assert (z.grad.norm(dim=2) > 1e-4).all()
    radial = (z.detach().double() * z.grad.double()).sum(2).abs()
    assert (radial / (z.detach().norm(dim=2) * z.grad.norm(dim=2))).max() < 1e-5


def test_nt_xent_stays_in_float32_under_autocast():
    z1, z2 = torch.randn(2, 8, 5)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(z1, z2, 0.07)
    assert torch.equal(inside, nt_xent(z1, z2, 0.07))


def test_low_temperatures_do_not_overflow():
    z1, z2 = torch.randn(2, 8, 5)
    assert math.isfinite(nt_xent(z1, z2, 1e-3).item())


@pytest.mark.parametrize("norm", [NormVariant.NONE, NormVariant.F], ids=str)
def test_loss_passes_both_views_together_and_compares_their_projections(digits, norm):
    torch.manual_seed(0)
    method = SimCLR(ResNet(10, 4), norm, hidden_dim=16, projector_dim=8, temperature=0.3)
    loss, z1, z2 = loss_and_projections(method, norm, digits[0].images[:12])
    assert loss.item() == pytest.approx(double_loop(z1, z2, 0.3), rel=1e-4)


def test_head_is_drocs_cut_to_two_layers():
    method = SimCLR(ResNet(10, 4), NormVariant.F)
    shapes = [tuple(value.shape) for value in method.projector.parameters()]
    assert shapes == [(512, 32), (512,), (512,), (128, 512)]  # no biases but the batch norm's
    assert method.temperature == 0.2
