import math

import pytest
import torch

from nsa_core.methods.simclr import nt_xent
from nsa_core.methods.unilateral import pairwise_contrast, unilateral_contrast


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def loss_by_loops(z1, z2, inliers, temperature, soft=None, held=None):
    """Eq. 5 with Eq. 1, or Eq. 6 (its weights before the logarithm) and 7, an anchor at a time.

    Weights are those of the views ``held``, if given.
    """
    rows = torch.cat([z1, z2]).double().tolist()
    weighing = rows if held is None else torch.cat(held).double().tolist()
    count = len(z1)
    inside = {i for i in range(2 * count) if i % count < inliers}
    total = 0.0
    for a in range(2 * count):
        others = [i for i in range(2 * count) if i != a]
        positives = [i for i in others if (i in inside if a in inside else i % count == a % count)]
        weights = dict.fromkeys(positives, 1.0)
        if soft is not None and a in inside:
            near = {
                p: sum(math.exp(cosine(weighing[p], weighing[q]) / soft) for q in inside - {a, p})
                for p in positives
            }
            weights = {p: each / sum(near.values()) for p, each in near.items()}
        below = sum(math.exp(cosine(rows[a], rows[i]) / temperature) for i in others)
        missed = {
            p: -math.log(math.exp(cosine(rows[a], rows[p]) / temperature) / below)
            for p in positives
        }
        total += sum(weights[p] * missed[p] for p in positives) / sum(weights.values())
    return total / (2 * count)


def pairwise_by_loops(z1, z2, inliers, temperature):
    """One direction, an anchor of the first views at a time."""
    first, second = (z.double().tolist() for z in (z1, z2))
    total = 0.0
    for a in range(len(first)):
        positives = range(inliers) if a < inliers else [a]
        shares = [math.exp(cosine(first[a], other) / temperature) for other in second]
        total -= sum(math.log(shares[p] / sum(shares)) for p in positives) / len(positives)
    return total / len(first)


def projections(count, seed=0):
    z1, z2 = torch.randn(2, count, 5, generator=torch.Generator().manual_seed(seed))
    return z1, z1 + 0.5 * z2


CASES = pytest.mark.parametrize(
    ("count", "inliers", "temperature"), [(8, 2, 0.5), (12, 3, 0.2), (5, 5, 0.07), (4, 1, 1.0)]
)


@CASES
def test_the_loss_of_all_views_equals_a_loop(count, inliers, temperature):
    z1, z2 = projections(count)
    for soft in (None, 0.5, 0.1) if inliers > 1 else (None,):
        found = unilateral_contrast(z1, z2, inliers, temperature, soft).item()
        assert found == pytest.approx(loss_by_loops(z1, z2, inliers, temperature, soft), rel=1e-5)


@CASES
def test_the_loss_in_one_direction_equals_a_loop(count, inliers, temperature):
    z1, z2 = projections(count)
    found = pairwise_contrast(z1, z2, inliers, temperature).item()
    assert found == pytest.approx(pairwise_by_loops(z1, z2, inliers, temperature), rel=1e-5)


def test_with_a_single_inlier_it_is_simclrs():
    """Then every instance is a class of its own."""
    z1, z2 = projections(6)
    torch.testing.assert_close(unilateral_contrast(z1, z2, 1, 0.3), nt_xent(z1, z2, 0.3))


def test_gathering_inliers_and_dispersing_outliers_is_the_optimum():
    """The bound: uniform over the other views of inliers, certain for outliers."""
    inliers, outliers, temperature = 4, 5, 0.01
    axes = torch.eye(outliers + 1)
    z = torch.cat([axes[:1].expand(inliers, -1), axes[1:]])
    bound = math.log(2 * inliers - 1) * inliers / (inliers + outliers)
    assert unilateral_contrast(z, z, inliers, temperature).item() == pytest.approx(bound, abs=1e-6)
    together = torch.cat([z[:inliers], z[-1:].expand(outliers, -1)])  # outliers collapsed
    assert unilateral_contrast(together, together, inliers, temperature) > bound + 0.5
    apart = torch.eye(inliers + outliers)  # inliers dispersed, as SimCLR wants them
    assert unilateral_contrast(apart, apart, inliers, temperature) > bound + 0.5


@pytest.mark.parametrize("contrast", [unilateral_contrast, pairwise_contrast])
def test_an_outlier_that_moves_ends_at_its_own_other_view_and_not_at_other_outliers(contrast):
    """The trap of SupCon on rotations: all rotated copies as one class."""
    fixed = torch.eye(6)
    z1 = torch.randn(6, 6, generator=torch.Generator().manual_seed(3)).requires_grad_()
    optimiser = torch.optim.Adam([z1], 0.05)
    for _ in range(150):
        optimiser.zero_grad()
        contrast(z1, fixed, 2, 0.2).backward()
        optimiser.step()
    cosines = z1.detach() / z1.detach().norm(dim=1, keepdim=True)
    assert torch.equal(cosines[2:] > 0, fixed[2:] > 0)  # away from all but its own
    assert cosines[2:, 2:].diagonal().min() > 0.5
    assert cosines[:2, :2].min() > 0.3  # inliers end between the inliers
    assert cosines[:2, 2:].max() < 0


def test_views_off_the_centre_count_less_the_sharper_the_weights():
    stream = torch.Generator().manual_seed(0)
    near = torch.ones(4, 5) + 0.1 * torch.randn(4, 5, generator=stream)
    off = torch.tensor([[1.0, -1, 1, -1, 0.5]])
    z = torch.cat([near, off, torch.randn(3, 5, generator=stream)])
    found = [unilateral_contrast(z, z, 5, 0.5, soft) for soft in (None, 10.0, 0.5, 0.1)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[3] + 0.05


def test_weights_have_no_gradient():
    """The slope is that of the loss with its weights held, which free ones would change."""
    z1, z2 = projections(6)
    variable = z1.clone().requires_grad_()
    unilateral_contrast(variable, z2, 4, 0.5, 0.1).backward()
    apart = 0.0
    for seed in range(3):
        direction = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed)).double()
        step = 1e-5 * direction

        def slope(held, step=step):
            ends = [z1.double() + step, z1.double() - step]
            up, down = (
                loss_by_loops(
                    end,
                    z2.double(),
                    4,
                    0.5,
                    0.1,
                    (end, z2.double()) if not held else (z1.double(), z2.double()),
                )
                for end in ends
            )
            return (up - down) / 2e-5

        found = (variable.grad.double() * direction).sum().item()
        assert found == pytest.approx(slope(held=True), rel=1e-3, abs=1e-5)
        apart = max(apart, abs(found - slope(held=False)))
    assert apart > 1e-3


@pytest.mark.parametrize("soft", [None, 0.5])
def test_it_stays_in_float32_under_autocast_and_low_temperatures_do_not_overflow(soft):
    z1, z2 = projections(8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = unilateral_contrast(z1, z2, 3, 0.07, soft)
    assert torch.equal(inside, unilateral_contrast(z1, z2, 3, 0.07, soft))
    assert unilateral_contrast(z1, z2, 3, 1e-3, soft and 1e-3).isfinite()
