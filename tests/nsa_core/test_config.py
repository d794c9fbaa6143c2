import hashlib
import json

import pytest

from nsa_core import InputError, NormVariant, TrialConfig
from nsa_core.augment import Augmentation

OLDER = {
    "dataset": "cifar10", "normal_class": 3, "method": "byol", "norm": "g", "batch_size": 32,
    "pollution": 0.1, "seed": 7, "budget": 40, "budget_unit": "steps", "evaluations": 4,
    "layers": ["stage3", "embedding", "projection"], "probe_images": 100,
    "held_out": 0.2,
    "learning_rate": 0.001, "weight_decay": 1e-5, "depth": 34, "width": 16, "stem": "3x3/2",
    "precision": "bf16", "channels_last": False,
    "augment": {"crop_scale": [0.4, 1.0], "crop_ratio": [0.5, 2.0], "flip": 0.0,
                "brightness": 0.1, "contrast": 0.2, "saturation": 0.3, "hue": 0.05,
                "jitter": 0.7, "grey": 0.25},
    "method_options": {"ema": 0.9, "hidden_dim": 64},
}  # fmt: skip
FULL = {**OLDER, "optimiser": "lars", "momentum": 0.8, "warmup_epochs": 2}


def test_every_field_survives_the_way_through_json():
    config = TrialConfig.from_dict(json.loads(json.dumps(FULL)))
    assert config.to_dict() == FULL
    again = TrialConfig.from_dict(json.loads(config.canonical()))
    assert again == config
    assert again.canonical() == config.canonical()
    assert config.norm is NormVariant.G
    assert config.augment.crop_scale == (0.4, 1.0)


def test_defaults_survive_the_way_through_json():
    assert TrialConfig.from_dict(TrialConfig().to_dict()) == TrialConfig()
    assert TrialConfig.from_dict({}) == TrialConfig()


def test_configurations_keep_the_canonical_form_that_stored_trials_are_named_by():
    """A new option of a method belongs into ``method_options``, where absent is its default."""
    digests = [
        hashlib.sha256(config.canonical().encode()).hexdigest()[:16]
        for config in (TrialConfig(), TrialConfig.from_dict(OLDER))
    ]
    assert digests == ["67c3d6edcdd2bd43", "55adf3923178badb"]


def test_fields_that_came_later_are_in_no_canonical_form_while_they_have_their_defaults():
    defaults = {"optimiser": "adam", "momentum": 0.9, "warmup_epochs": 0}
    assert TrialConfig(**defaults).canonical() == TrialConfig().canonical()
    assert not set(defaults) & set(TrialConfig().to_dict())
    assert TrialConfig(optimiser="sgd").to_dict()["optimiser"] == "sgd"
    assert "momentum" not in TrialConfig(optimiser="sgd").to_dict()


def test_what_later_versions_added_is_left_out_at_its_default_and_names_another_trial_otherwise():
    assert "compile" not in TrialConfig(compile=False).to_dict()
    compiled = TrialConfig(compile=True)
    assert compiled.to_dict()["compile"] is True
    assert compiled.canonical() != TrialConfig().canonical()
    assert TrialConfig.from_dict(json.loads(compiled.canonical())) == compiled


def test_canonical_form_does_not_depend_on_the_order_of_keys():
    backwards = {key: FULL[key] for key in reversed(FULL)}
    for key in ("augment", "method_options"):
        backwards[key] = {inner: FULL[key][inner] for inner in reversed(FULL[key])}
    forwards = TrialConfig.from_dict(FULL).canonical()
    assert TrialConfig.from_dict(backwards).canonical() == forwards


def test_canonical_form_does_not_depend_on_how_numbers_and_norms_are_spelt():
    plain = TrialConfig(
        pollution=0, learning_rate=1, weight_decay=0, norm="both",
        augment=Augmentation(flip=1, crop_scale=[1, 1]),
    )  # fmt: skip
    spelt = TrialConfig(
        pollution=0.0, learning_rate=1.0, weight_decay=0.0, norm=NormVariant.BOTH,
        augment=Augmentation(flip=1.0, crop_scale=(1.0, 1.0)),
    )  # fmt: skip
    assert plain.canonical() == spelt.canonical()
    assert plain == spelt


def test_canonical_form_does_not_depend_on_how_options_are_spelt():
    forms = [
        TrialConfig(method="simclr", norm="f", method_options={"temperature": value}).canonical()
        for value in (1, 1.0)
    ]
    assert forms[0] == forms[1]


def test_depth_that_is_no_whole_number_is_refused():
    with pytest.raises(InputError, match="depth"):
        TrialConfig(depth=18.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels_last": "no"},
        {"compile": "no"},
        {"dataset": 5},
        {"augment": None},
        {"augment": {"flip": 1}},
        {"method_options": {"projector_dim": 8.5}},
        {"method_options": {"projector_dim": "8"}},
        {"method_options": {"norm_scale": 2}},
        {"method_options": {"norm_scale": None}},
        {"method_options": {"projector_dim": -8}},
        {"method_options": {"head_bn_eps": float("nan")}},
    ],
    ids=str,
)
def test_values_of_another_kind_are_refused(changes):
    with pytest.raises(InputError):
        TrialConfig(**changes)


@pytest.mark.parametrize("key", sorted(FULL))
def test_canonical_form_changes_with_each_field(key):
    config = TrialConfig.from_dict(FULL)
    others = {**TrialConfig().to_dict(), "method": "simsiam", "norm": "both", "optimiser": "sgd"}
    changed = {**FULL, key: others.get(key, getattr(TrialConfig(), key))}
    if key == "method":
        changed["method_options"] = {}
    assert TrialConfig.from_dict(changed).canonical() != config.canonical()


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"batchsize": 32}, r"unknown configuration key 'batchsize'; did you mean 'batch_size'\?"),
        ({"lr": 0.1}, "unknown configuration key 'lr'.*known: .*learning_rate"),
        ({"augment": {"gray": 0.2}}, r"unknown augmentation key 'gray'; did you mean 'grey'\?"),
        ({"method_options": {"projector": 8}}, "option of simsiam 'projector'; did you mean 'proj"),
        ({"method": "simclr", "norm": "f", "method_options": {"ema": 0.9}}, "option of simclr 'em"),
    ],
)
def test_unknown_keys_are_refused_with_a_suggestion(plain, message):
    with pytest.raises(InputError, match=message):
        TrialConfig.from_dict(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "simsam"}, "unknown method 'simsam'; did you mean 'simsiam'"),
        ({"norm": "h"}, "unknown norm 'h'"),
        ({"budget_unit": "epoch"}, "unknown budget_unit 'epoch'; did you mean 'epochs'"),
        ({"stem": "7x7"}, "unknown stem '7x7'"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"depth": 50}, r"unknown depth 50 .*\(known: 10, 18, 34\)|unknown depth 50"),
        ({"normal_class": -1}, "normal_class is -1; need a whole number of at least 0"),
        ({"normal_class": "cat"}, "normal_class is 'cat'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
        ({"batch_size": 1}, "batch_size is 1; need a whole number of at least 2"),
        ({"batch_size": 32.0}, "batch_size is 32.0"),
        ({"budget": 0}, "budget is 0"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"width": 0}, "width is 0"),
        ({"probe_images": -1}, "probe_images is -1"),
        ({"layers": "embedding"}, "layers is 'embedding'; need a list of stem, stage1"),
        ({"layers": ["embeding"]}, "unknown layer 'embeding'; did you mean 'embedding'"),
        ({"layers": ["stem"]}, r"layers is \['stem'\]; need the embedding among them"),
        ({"slow_scores": "oc-svm"}, "slow_scores is 'oc-svm'; need a list of oc-svm"),
        ({"slow_scores": ["ocsvm"]}, "unknown slow score 'ocsvm'; did you mean 'oc-svm'"),
        ({"slow_scores": ["c-cos"]}, "unknown slow score 'c-cos'"),
        ({"pollution": 0.6}, r"pollution is 0.6; need a share in \[0, 0.5\]"),
        ({"pollution": -0.1}, "pollution is -0.1"),
        ({"pollution": float("nan")}, "pollution is nan; need a finite number"),
        ({"pollution": "0.1"}, "pollution is '0.1'"),
        ({"held_out": 0.6}, r"held_out is 0.6; need a share in \[0, 0.5\]"),
        ({"held_out": "0.1"}, "held_out is '0.1'"),
        ({"learning_rate": 0}, "learning_rate is 0.0; need a number above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"learning_rate": True}, "learning_rate is True"),
        ({"weight_decay": -1e-4}, "weight_decay is -0.0001; need at least 0"),
        ({"optimiser": "lamb"}, r"unknown optimiser 'lamb'.*known: adam, lars, sgd"),
        ({"optimiser": "sgd", "momentum": 1}, r"momentum is 1.0; need a number in \[0, 1\)"),
        ({"optimiser": "sgd", "momentum": -0.1}, "momentum is -0.1"),
        ({"momentum": 0.8}, "momentum is 0.8, but Adam takes none"),
        ({"warmup_epochs": -1}, "warmup_epochs is -1; need a whole number of at least 0"),
        ({"warmup_epochs": 0.5}, "warmup_epochs is 0.5"),
    ],
)
def test_bad_values_are_refused_by_field_and_value(changes, message):
    with pytest.raises(InputError, match=message):
        TrialConfig(**changes)


def test_layers_are_kept_in_order_and_once():
    config = TrialConfig(layers=["projection", "embedding", "stem", "stem"])
    assert config.layers == ("stem", "embedding", "projection")


def test_configuration_is_frozen_and_owns_its_options():
    options = {"projector_dim": 8}
    config = TrialConfig(method_options=options)
    options["projector_dim"] = 9
    assert config.method_options == {"projector_dim": 8}
    with pytest.raises(AttributeError):
        config.seed = 1


def test_slow_scores_are_in_no_canonical_form_unless_asked_for():
    assert "slow_scores" not in TrialConfig().to_dict()
    asked = TrialConfig(slow_scores=["oc-svm", "oc-svm"])
    assert asked.slow_scores == ("oc-svm",)
    assert asked.to_dict() == {**TrialConfig().to_dict(), "slow_scores": ["oc-svm"]}
    assert TrialConfig.from_dict(asked.to_dict()) == asked
