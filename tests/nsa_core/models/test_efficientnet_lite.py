import pytest
import torch

from nsa_core.models.efficientnet_lite import EfficientNetLite0, _SameConv


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_padding_is_tensorflows(side, stride, kernel):
    """Position by position: an output's window begins at i s - floor(total / 2)."""
    torch.manual_seed(0)
    conv = _SameConv(1, 1, kernel, stride)
    x = torch.rand(1, 1, side, side)
    outputs = -(-side // stride)
    before = max((outputs - 1) * stride + kernel - side, 0) // 2
    expected = torch.zeros(outputs, outputs)
    for row in range(outputs):
        for column in range(outputs):
            for i in range(kernel):
                for j in range(kernel):
                    y, z = row * stride - before + i, column * stride - before + j
                    if 0 <= y < side and 0 <= z < side:
                        expected[row, column] += conv.weight[0, 0, i, j] * x[0, 0, y, z]
    torch.testing.assert_close(conv(x)[0, 0], expected)


def test_parts_halve_the_side_and_are_the_whole_network():
    network = EfficientNetLite0().eval()
    x, sides = torch.rand(1, 3, 64, 64), []
    for part in network.parts():
        x = part(x)
        sides.append(x.shape[2])
    assert sides == [32, 16, 8, 4, 2]
    assert x.shape[1] == 1280
    inside = {id(p) for part in network.parts() for p in part.parameters()}
    assert inside == {id(p) for p in network.parameters()}
    assert sum(p.numel() for p in network.parameters()) == 3_371_008  # 4,652,008 with a classifier
