"""Table 4's page: its grid, and the life of a trial that trains nothing."""

from dataclasses import replace

import pytest
import torch
import torchvision

from nsa_core import InputError, methods
from studies.plan.grid import build_grid
from studies.plan.options import parser
from studies.plan.work import GridWork
from studies.pretrained_backbones import RATES, STUDY
from studies.trial.life import run_trial
from tracking import create_store

FROZEN = {"norm": "none", "backbone": "resnet18", "image_size": 32, "layers": ("embedding",)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    return path


@pytest.fixture
def frozen(weights):
    """A study of one frozen trial."""
    base = {**FROZEN, "weights": str(weights), "batch_size": 32}
    preset = replace(STUDY.presets["quick"], classes=(3,), axes={"method": ("frozen",)}, base=base)
    return replace(STUDY, name="frozen_alone", presets={"quick": preset})


def test_a_trial_that_trains_nothing_is_finished_with_epoch_0(frozen, tmp_path):
    store = create_store(tmp_path / "store")
    work = GridWork(frozen, parser(frozen).parse_args(["--store", str(store.root)]))
    work.begin(store)
    (key,) = work.trial_ids(store)
    record = store.trial(key)
    (only,) = run_trial(record, None, torch.device("cpu"))
    assert only.share == 1
    assert list(run_trial(record, None, torch.device("cpu"))) == []  # it has ended
    (trial,) = store.trials().to_pylist()
    assert (trial["status"], trial["epochs"], trial["backbone"]) == ("finished", 0, "resnet18")
    assert len(trial["weights_sha256"]) == 64
    (dynamics,) = store.dynamics().to_pylist()
    assert (dynamics["epoch"], dynamics["step"], dynamics["loss"]) == (0, 0, None)
    assert store.scores().num_rows > 10


def test_the_papers_preset_names_the_files_that_are_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("NSA_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match=r"resnet18-f37072fd.pth' do not exist"):
        build_grid(STUDY, "paper", dataset="digits")


def test_every_arm_of_the_paper_is_a_trial(monkeypatch, weights):
    """With a file of weights under every name: they are read when a trial begins."""
    monkeypatch.setattr("nsa_core.config_checks.backbone_file", lambda name, file: weights)
    configs = build_grid(
        STUDY, "paper", dataset="digits", classes=[3], overrides={"batch_size": 32}
    )
    assert len(configs.configs) == 9
    for config in configs.configs:
        recipe = methods.recipe(config.method) | {"batch_size": 32}
        assert {name: getattr(config, name) for name in recipe} == recipe
    arms = {
        tuple(config.to_dict().get(name) for name in STUDY.layout.rows)
        for config in configs.configs
    }
    assert {
        tuple(p.where[name] for name in STUDY.layout.rows) for p in STUDY.layout.published
    } < arms


def test_the_rates_of_the_smaller_presets_are_the_published_ones():
    for method in ("panda", "msc"):
        assert methods.recipe(method)["learning_rate"] == RATES[method]
