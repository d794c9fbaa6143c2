import pytest
import torch
import torchvision
from torch import nn

from nsa_core.errors import InputError
from nsa_core.models import ResNet


def torchvisions() -> nn.Module:
    """torchvision's ResNet-18 with the small stem and without a classifier."""
    model = torchvision.models.resnet18()
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    model.fc = nn.Identity()
    return model


def renamed(name: str) -> str:
    """Our parameter's name in torchvision's network."""
    if name.startswith("stem."):
        return name.replace("stem.0", "conv1").replace("stem.1", "bn1")
    _, stage, rest = name.split(".", 2)
    return f"layer{int(stage) + 1}.{rest.replace('shortcut', 'downsample')}"


@pytest.fixture(scope="module")
def pair():
    """Ours and torchvision's with the same random weights and statistics."""
    torch.manual_seed(0)
    ours, theirs = ResNet(18, 64, "3x3"), torchvisions()
    for module in ours.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    theirs.load_state_dict({renamed(name): value for name, value in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_depth_18_equals_torchvisions_resnet18_with_a_small_stem(pair, mode):
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    ours, theirs = (getattr(model, mode)() for model in pair)
    with torch.no_grad():
        y, expected = ours(images), theirs((images - 0.5) / 0.5)
    assert y.shape == (4, 512)
    assert y.std() > 0.01
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    for name, value in ours.state_dict().items():  # running statistics too
        torch.testing.assert_close(value, theirs.state_dict()[renamed(name)], rtol=1e-5, atol=1e-5)


def test_pooled_stages_are_the_stem_and_four_stages_and_end_with_the_embedding():
    torch.manual_seed(0)
    model = ResNet(10, 8).eval()
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        stages = model.pooled_stages(images)
        embedding = model(images)
        stem = model.stem((images - 0.5) / 0.5)
    assert [stage.shape for stage in stages] == [(3, 8 * k) for k in (1, 1, 2, 4, 8)]
    assert torch.equal(stages[-1], embedding)
    torch.testing.assert_close(stages[0], stem.flatten(2).mean(2))
    assert model.features == embedding.shape[1] == 64


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_a_pooled_stage_is_one_of_them_and_the_later_ones_do_not_run(stage):
    torch.manual_seed(0)
    model = ResNet(10, 8).eval()
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        expected = model.pooled_stages(images)[stage]
        for later in model.stages[stage:]:
            later.register_forward_hook(lambda *_: pytest.fail("a later stage ran"))
        assert torch.equal(model(images, stage), expected)


def test_pooled_stages_of_the_papers_network_have_the_published_channels():
    model = ResNet(18, 64, "3x3/2").eval()
    with torch.no_grad():
        stages = model.pooled_stages(torch.rand(1, 3, 32, 32))
    assert [stage.shape[1] for stage in stages] == [64, 64, 128, 256, 512]


@pytest.mark.parametrize(
    ("stem", "sides"), [("3x3", (32, 32, 16, 8, 4)), ("3x3/2", (16, 16, 8, 4, 2))]
)
def test_feature_maps_have_the_sides_of_their_stem(stem, sides):
    model = ResNet(10, 2, stem).eval()
    with torch.no_grad():
        maps = model.maps(torch.rand(1, 3, 32, 32))
    assert tuple(each.shape[-1] for each in maps) == sides


@pytest.mark.parametrize(("depth", "convolutions"), [(10, 9), (18, 17), (34, 33)])
def test_depth_counts_the_layers_with_weights(depth, convolutions):
    model = ResNet(depth, 2)
    on_the_way = [
        m for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "short" not in n
    ]
    assert len(on_the_way) == convolutions  # and the head's linear layer makes the depth


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_grey_images_give_the_same_as_replicated_to_three_channels(mode):
    torch.manual_seed(0)
    model = getattr(ResNet(10, 8), mode)()
    grey = torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        narrow, wide = model(grey), model(grey.expand(-1, 3, -1, -1).contiguous())
    torch.testing.assert_close(narrow, wide, rtol=1e-5, atol=1e-6)


def test_memory_layout_does_not_change_the_embedding():
    torch.manual_seed(0)
    model = ResNet(10, 8)
    images = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        plain = model(images)
        last = model.to(memory_format=torch.channels_last)(images)
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


def test_convolutions_start_with_kaiming_normal_fan_out():
    torch.manual_seed(0)
    model = ResNet(10, 32)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            expected = (2 / fan_out) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.06), name
            assert module.bias is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((50,), "depth is 50; known: 10, 18, 34"),
        ((18, 0), "width is 0; need at least 1"),
        ((18, 64, "7x7"), "stem is '7x7'; known: 3x3, 3x3/2"),
    ],
)
def test_unknown_shapes_are_refused_by_name(arguments, message):
    with pytest.raises(InputError, match=message):
        ResNet(*arguments)
