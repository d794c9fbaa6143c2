import pytest
import torch
from torch import nn

from nsa_core.models import Head, mlp


def kinds(head: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in head]


def test_hidden_steps_are_linear_norm_relu_and_the_last_is_as_asked():
    hidden = ["Linear", "ViewBatchNorm", "ReLU"]
    plain = mlp([5, 6, 7, 8], output_bn=False, output_bias=True)
    assert kinds(plain) == [*hidden, *hidden, "Linear"]
    normed = mlp([5, 6, 8], output_bn=True, output_bias=False)
    assert kinds(normed) == [*hidden, "Linear", "ViewBatchNorm"]
    assert not normed[-1].affine
    assert normed[-2].bias is None
    assert plain[-1].bias is not None
    assert all(layer.bias is None for layer in plain[:-1] if isinstance(layer, nn.Linear))
    assert [m.weight.shape for m in plain if isinstance(m, nn.Linear)] == [(6, 5), (7, 6), (8, 7)]


def test_epsilon_reaches_every_batch_norm():
    head = mlp([5, 6, 7, 8], output_bn=True, output_bias=True, bn_eps=1e-8)
    found = [layer.eps for layer in head if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert found == [1e-8] * 3


def test_output_equals_plain_torch_layers():
    torch.manual_seed(0)
    head = mlp([5, 6, 8], output_bn=True, output_bias=True)
    x = torch.randn(9, 5)

    def batch_norm(v):
        return (v - v.mean(0)) / (v.var(0, unbiased=False) + 1e-5).sqrt()

    hidden = batch_norm(x @ head[0].weight.T).clamp_min(0)
    expected = batch_norm(hidden @ head[3].weight.T + head[3].bias)
    torch.testing.assert_close(head(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_head_stays_in_float32_under_bf16_autocast(dtype):
    torch.manual_seed(0)
    head = mlp([32, 64, 16], output_bn=False, output_bias=True)
    plain = nn.Sequential(*head)
    x = torch.randn(8, 32).to(dtype)
    expected = head(x)
    with torch.autocast("cpu", torch.bfloat16):
        inside, lossy = head(x), plain(x)
    assert isinstance(head, Head)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, expected)
    assert lossy.dtype == torch.bfloat16  # the same layers without Head would lose digits


def test_gradient_of_a_head_under_autocast_is_the_one_in_float32():
    torch.manual_seed(0)
    head = mlp([32, 64, 16], output_bn=True, output_bias=True)
    x = torch.randn(8, 32)
    grads = []
    for enabled in (False, True):
        head.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = head(x)
        y.pow(3).sum().backward()
        grads.append(head[0].weight.grad.clone())
    assert grads[0].abs().max() > 0
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-6, atol=0)
