"""Frozen and adapted backbones: what is trained, what is kept, and what a trial of them is."""

import dataclasses

import numpy as np
import pytest
import torch
import torchvision

from nsa_core import InputError, TrialConfig, auroc, methods, one_class_split, train
from nsa_core.methods import PANDA, Frozen, MeanShifted
from nsa_core.models import NormVariant, ResNet
from nsa_core.scorers import CosineKNN
from nsa_core.training import build, build_method
from nsa_core.training.optimiser import build_optimiser
from tests.nsa_core.waits import Waits

NAMES = ("frozen", "panda", "msc")
ADAPTED = ("panda", "msc")
IMAGES = 40


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None)
    network.train()(torch.rand(8, 3, 32, 32))
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def split(digits):
    whole = one_class_split(*digits, 8)
    rows = slice(None, 60)
    return dataclasses.replace(
        whole,
        train_images=whole.train_images[:IMAGES],
        test_images=whole.test_images[rows],
        test_is_outlier=whole.test_is_outlier[rows],
    )


def config(name, weights, **changes) -> TrialConfig:
    small = {"budget": 2, "batch_size": 8, "evaluations": 2, "layers": ("embedding",)}
    backbone = {"backbone": "resnet18", "weights": str(weights), "image_size": 32}
    return TrialConfig(method=name, **{**methods.recipe(name), **small, **backbone, **changes})


def test_a_frozen_backbone_is_evaluated_once_as_it_is(split, weights, tmp_path):
    settings, path = config("frozen", weights), tmp_path / "trial.ckpt"
    pulses = []
    (only,) = train(settings, split, checkpoint=path, on_epoch=pulses.append)
    assert (only.epoch, only.step, only.total_steps, only.share) == (0, 0, 0, 1.0)
    assert only.signals.loss is None
    assert not only.signals.collapsed
    assert pulses == []
    assert list(train(settings, split, checkpoint=path)) == []  # it has ended
    network = torchvision.models.resnet18(weights=None).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.fc = torch.nn.Identity()
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def features(images):
        large = torch.nn.functional.interpolate(
            torch.tensor(images).expand(-1, 3, -1, -1) / 255,
            (32, 32),
            mode="bicubic",
            antialias=True,
        ).clamp(0, 1)
        with torch.inference_mode():
            return network((large - mean) / std)

    scores = CosineKNN().fit(features(split.train_images)).score(features(split.test_images))
    expected = auroc(scores, split.test_is_outlier)
    assert only.test.auroc["embedding", "cosine-knn"] == pytest.approx(expected, abs=1e-3)


def test_all_layers_of_a_resnet_are_scored_and_summed(split, weights):
    (only,) = train(config("frozen", weights, layers=methods.LAYERS), split)
    assert {layer for layer, _ in only.test.scores} == {*methods.LAYERS, "ensemble"}


@pytest.fixture
def narrow(monkeypatch):
    """A network in place of ResNet-18 that is evaluated in a tenth of the time."""
    monkeypatch.setattr(build, "_encoder", lambda config, blank: ResNet(10, 8))


@pytest.mark.parametrize("name", NAMES)
def test_batch_norms_and_early_stages_stay_as_they_are(split, weights, narrow, name, tmp_path):
    settings, path = config(name, weights, learning_rate=0.1, evaluations=1), tmp_path / "trial"
    before = build_method(settings)
    list(train(settings, split, checkpoint=path))
    trained, kept = torch.load(path, weights_only=True)["method"], before.state_dict()
    changed = {key for key, value in trained.items() if not torch.equal(value, kept[key])}
    free = {key for key, parameter in before.named_parameters() if parameter.requires_grad}
    assert changed == (free | {"centre"} if name in ADAPTED else set())
    stages = {".".join(key.split(".")[1:3]) for key in free}
    assert stages == ({"stages.2", "stages.3"} if name in ADAPTED else set())


@pytest.mark.parametrize("name", ADAPTED)
def test_the_centre_is_the_mean_before_training_and_stays(split, weights, narrow, name, tmp_path):
    settings, path = config(name, weights), tmp_path / "trial.ckpt"
    method = build_method(settings).eval()
    with torch.inference_mode():
        y = method.encoder(torch.tensor(split.train_images) / 255)
    if name == "msc":
        y = y / y.norm(dim=1, keepdim=True)
    whole = list(train(settings, split))
    running = train(settings, split, checkpoint=path)
    next(running)
    next(running)  # the first was saved
    running.close()
    (last,) = train(settings, split, checkpoint=path)  # from there
    assert last.signals == whole[1].signals
    torch.testing.assert_close(
        torch.load(path, weights_only=True)["method"]["centre"], y.mean(dim=0)
    )


@pytest.mark.parametrize("name", ADAPTED)
def test_its_own_score_is_the_two_nearest_squared_distances(split, name):
    torch.manual_seed(0)
    method = methods.build(name, ResNet(10, 4), NormVariant.NONE, {}).eval()
    train_images, test_images = (torch.tensor(x) for x in (split.train_images, split.test_images))
    (score,) = method.own_score_versions
    found = method.own_scores(train_images, test_images, None, None)[score]
    with torch.inference_mode():
        bank, queries = (method.encoder(x / 255).double() for x in (train_images, test_images))
    if name == "msc":
        bank, queries = (x / x.norm(dim=1, keepdim=True) for x in (bank, queries))
    for query, value in zip(queries, found, strict=True):
        squares = sorted(((query - row) ** 2).sum().item() for row in bank)
        assert value.item() == pytest.approx(squares[0] + squares[1], rel=1e-4)


@pytest.mark.parametrize("kind", [PANDA, MeanShifted])
def test_a_network_of_one_part_is_adapted_as_a_whole(kind):
    encoder = ResNet(10, 4)
    encoder.parts = lambda: [encoder.stem]
    method = kind(encoder, NormVariant.NONE)
    assert all(parameter.requires_grad for parameter in method.parameters())
    assert not any(each.requires_grad for each in Frozen(encoder, NormVariant.NONE).parameters())


def test_other_weights_are_another_trial_and_the_same_elsewhere_are_found(
    weights, tmp_path, monkeypatch
):
    first = config("frozen", weights)
    assert TrialConfig.from_dict(first.to_dict()) == first
    other = tmp_path / "resnet18.pth"
    other.write_bytes(weights.read_bytes() + b"\0")
    monkeypatch.setenv("NSA_WEIGHTS", str(weights.parent))
    named = config("frozen", "resnet18.pth")
    assert named.weights_sha256 == first.weights_sha256
    monkeypatch.setenv("NSA_WEIGHTS", str(tmp_path))
    assert config("frozen", "resnet18.pth").canonical() != named.canonical()
    with pytest.raises(InputError, match="are not those of the configuration"):
        build_method(named)


def test_trials_from_scratch_say_nothing_of_backbones():
    assert not {"backbone", "weights", "weights_sha256", "image_size"} & set(
        TrialConfig().to_dict()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "f"}, "norm is 'f', which does not apply to panda; use one of: none"),
        ({"backbone": ""}, "backbone is not given; need resnet18"),
        ({"backbone": "resnet-18"}, "unknown backbone 'resnet-18'; did you mean 'resnet18'"),
        ({"weights": "/nowhere.pth"}, "weights '/nowhere.pth' do not exist"),
        ({"depth": 34}, "depth is 34, but panda has a backbone; leave it out"),
        ({"method": "simclr"}, "backbone is 'resnet18', but simclr trains its own encoder"),
        ({"image_size": 0}, "image_size is 0; need a whole number of at least 1"),
    ],
)
def test_what_does_not_apply_is_refused_by_name(weights, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config("panda", weights), **{"weights_sha256": "", **changes})


def test_weights_of_another_architecture_end_the_trial_before_it_begins(split, weights):
    settings = config("panda", weights, backbone="resnet34")
    with pytest.raises(InputError, match=r"resnet18.pth are not of resnet34"):
        next(train(settings, split))


def test_a_spoilt_weight_is_named_before_it_is_scored(split, weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    state["layer4.1.bn2.bias"][0] = np.nan
    torch.save(state, tmp_path / "spoilt.pth")
    with pytest.raises(RuntimeError, match="a weight became nan"):
        next(train(config("frozen", tmp_path / "spoilt.pth"), split))


@pytest.mark.parametrize("name", ADAPTED)
def test_a_step_makes_no_tensor_from_python_values_and_waits_for_nothing(split, weights, name):
    """So that CUDA can capture it; views are made beforehand."""
    settings = config(name, weights)
    method = build_method(settings).train()
    optimiser = build_optimiser(method, settings)
    images = torch.from_numpy(split.train_images[:8])
    view = images / 255
    with Waits() as waits:
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                loss = method.loss(images, lambda _, n=1: view.repeat(n, 1, 1, 1))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            method.before_step()
            optimiser.step()
    assert waits.found == []
