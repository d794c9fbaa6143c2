"""Features of evaluations against a plain forward in evaluation mode, built here from the parts."""

import copy

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from nsa_core import NormVariant, methods
from nsa_core.augment import Augmentation, augment
from nsa_core.methods import ENCODER_LAYERS, LAYERS
from nsa_core.models import ResNet
from nsa_core.training import embed, embedding
from tests.nsa_core.waits import Waits

CPU = torch.device("cpu")
HEADS = {
    "simsiam": {"projector_dim": 16, "predictor_dim": 8},
    "byol": {"projector_dim": 8, "hidden_dim": 16},
    "simclr": {"projector_dim": 8, "hidden_dim": 16},
}
METHODS = pytest.mark.parametrize("name", sorted(HEADS))


def trained(digits, name, norm=NormVariant.F):
    """A method whose running statistics are not the initial ones, left in training mode."""
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 4), norm, HEADS[name])
    stream = torch.Generator().manual_seed(0)
    images = torch.from_numpy(digits[0].images[:64])
    with torch.no_grad():
        for _ in range(3):
            method.loss(images, lambda x, n: augment(x, Augmentation(), stream, n))
    return method.train()


@METHODS
def test_features_are_those_of_a_plain_forward_in_evaluation_mode(digits, name):
    """Killed by it: embedding in training mode. More images than a block of them."""
    method = trained(digits, name)
    images = digits[0].images[:520]
    before = copy.deepcopy(dict(method.named_buffers()))
    plain = copy.deepcopy(method).eval()
    found = embed(method, images, CPU)
    assert list(found) == list(LAYERS)
    with torch.no_grad():
        maps = (torch.from_numpy(images).expand(-1, 3, -1, -1) / 255 - 0.5) / 0.5
        parts = [plain.encoder.stem, *plain.encoder.stages]
        for layer, part in zip(ENCODER_LAYERS, parts, strict=True):
            maps = part(maps)
            expected = maps.mean(dim=(2, 3))
            assert found[layer].dtype == torch.float32
            torch.testing.assert_close(found[layer], expected, rtol=1e-4, atol=1e-5)
    for key, value in method.named_buffers():
        assert torch.equal(value, before[key]), key
    torch.testing.assert_close(embed(method, images[:1], CPU)["embedding"][0], expected[0])


@pytest.mark.parametrize("norm", [NormVariant.NONE, NormVariant.F], ids=str)
@METHODS
def test_projections_are_the_projectors_of_unit_embeddings_with_an_f_norm(digits, name, norm):
    """Killed by it: f-norm skipped at evaluation."""
    method = trained(digits, name, norm)
    found = embed(method, digits[0].images[:40], CPU)
    unit = found["embedding"] / found["embedding"].norm(dim=1, keepdim=True)
    with torch.no_grad():
        plain, normed = method.eval().projector(found["embedding"]), method.projector(unit)
    expected, other = (normed, plain) if norm.on_embedding else (plain, normed)
    torch.testing.assert_close(found["projection"], expected, rtol=1e-5, atol=1e-6)
    assert (found["projection"] - other).abs().max() > 0.005


def flags():
    return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision


@pytest.fixture
def fast_flags():
    """TF32 wherever torch allows it, as somebody may have set it for training."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = flags()
    conv.fp32_precision = matmul.fp32_precision = "tf32"
    yield ("tf32", "tf32")
    conv.fp32_precision, matmul.fp32_precision = before


def test_images_are_embedded_in_true_float32_and_the_flags_put_back(digits, fast_flags):
    """TF32 rounds to 10 bits of mantissa: 0.5 % of the spread of compact features."""
    method = trained(digits, "simsiam")
    inside = []
    handle = register_module_forward_hook(lambda *call: inside.append((flags(), call[-1].dtype)))
    try:
        with torch.autocast("cpu", torch.bfloat16):
            embed(method, digits[0].images[:4], CPU)
    finally:
        handle.remove()
    assert set(inside) == {(("tf32", "ieee"), torch.float32)}  # convolutions are told by argument
    assert flags() == fast_flags


def test_the_flags_are_put_back_after_an_error(digits, fast_flags):
    method = trained(digits, "simsiam")
    with pytest.raises(RuntimeError, match="channels"):
        embed(method, digits[0].images[:4].repeat(2, axis=1), CPU)
    assert flags() == fast_flags


def test_images_go_to_the_device_in_large_pieces(digits, monkeypatch):
    """So that it does not wait for each batch."""
    monkeypatch.setattr(embedding, "BATCH", 8)
    method, images = trained(digits, "simsiam"), digits[0].images[:60]
    expected = embed(method, images, CPU)
    for most, pieces in ((2**26, 1), (20 * images[0].nbytes, 4), (1, 8)):  # 60, 16 and 8 images
        monkeypatch.setattr(embedding, "_MOVED", most)
        with Waits() as waits:
            found = embed(method, images, CPU)
        assert waits.found.count("tensor") == pieces
        assert all(torch.equal(found[layer], expected[layer]) for layer in LAYERS)
