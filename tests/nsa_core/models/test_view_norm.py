import copy

import pytest
import torch
from torch import nn

from nsa_core.models import ResNet, ViewBatchNorm, separate_views
from tests.nsa_core.kernels import Kernels

SHAPES = {"rows": (nn.BatchNorm1d, (6, 5)), "maps": (nn.BatchNorm2d, (6, 5, 4, 3))}


def norms(kind: str, affine: bool, views: int):
    """Ours, torch's with the same weights, and two different views of a batch."""
    torch.manual_seed(0)
    torchs, shape = SHAPES[kind]
    theirs = torchs(5, eps=1e-3, affine=affine)
    ours = ViewBatchNorm(5, eps=1e-3, affine=affine)
    if affine:
        nn.init.normal_(theirs.weight)
        nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    separate_views(ours, views)
    data = [3 * i + (i + 1) * torch.randn(shape) for i in range(views)]
    return ours, theirs, data


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("kind", SHAPES)
def test_training_equals_one_pass_a_view_through_torchs_batch_norm(kind, affine, views):
    ours, theirs, data = norms(kind, affine, views)
    together = torch.cat(data).requires_grad_()
    apart = [each.clone().requires_grad_() for each in data]
    y, expected = ours(together), torch.cat([theirs(each) for each in apart])
    torch.testing.assert_close(y, expected)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name])
    assert ours.num_batches_tracked == views
    direction = torch.randn_like(y)
    y.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(together.grad, torch.cat([each.grad for each in apart]))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("kind", SHAPES)
def test_every_bit_is_that_of_one_view_after_the_other(kind, affine, views, dtype):
    """Running statistics and gradients too: recorded trainings were made so."""
    ours, theirs, data = norms(kind, affine, views)
    together = torch.cat(data).to(dtype)
    if together.dim() == 4:
        together = together.contiguous(memory_format=torch.channels_last)
    apart = together.clone().requires_grad_()
    together.requires_grad_()
    with Kernels() as kernels:
        y = ours(together)
    assert "cat" not in kernels.names
    expected = torch.cat([theirs(each) for each in apart.chunk(views)])
    direction = torch.randn_like(y)
    y.backward(direction)
    expected.backward(direction)
    pairs = [(y, expected), (together.grad, apart.grad)]
    pairs += zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    pairs += [(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in pairs)


def test_two_views_are_not_normalised_by_their_common_statistics():
    ours, theirs, data = norms("rows", True, 2)
    together = torch.cat(data)
    assert (ours(together) - theirs(together)).abs().max() > 0.1


def test_evaluation_ignores_views():
    ours, theirs, data = norms("rows", True, 2)
    together = torch.cat(data)
    for model in (ours, theirs):
        model(together)
        model.eval()
    theirs.load_state_dict(ours.state_dict())
    odd = together[:7]  # cannot be halved
    torch.testing.assert_close(ours(odd), theirs(odd))


def test_separate_views_reaches_every_batch_norm_and_survives_copying():
    model = ResNet(10, 2)
    separate_views(model, 2)
    found = [m.views for m in copy.deepcopy(model).modules() if isinstance(m, ViewBatchNorm)]
    assert found == [2] * 12  # stem, two a block, one a widening shortcut
    assert ViewBatchNorm(3).views == 1
