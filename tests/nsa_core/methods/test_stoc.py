import dataclasses
from types import MappingProxyType

import numpy as np
import pytest
import torch

from nsa_core import InputError, NormVariant, TrialConfig, auroc, methods, one_class_split, train
from nsa_core.augment import Augmentation
from nsa_core.methods import STOC, SimCLR
from nsa_core.methods.refinement import OneClass, refine
from nsa_core.models import ResNet
from nsa_core.scorers import KDE, GaussianDensity
from nsa_core.training import build_method, embed
from nsa_core.training.own_scores import own_scores
from nsa_core.training.step import TrainingStep

SMALL = {"base": "simclr", "projector_dim": 16, "hidden_dim": 32, "refine_every": 2}
CPU = torch.device("cpu")


def config(method_options=MappingProxyType({}), **changes) -> TrialConfig:
    """Five epochs of at least four steps, and votes before the third and the fifth."""
    own = method_options if "base" in method_options else {**SMALL, **method_options}
    settings = {
        "method": "stoc", "norm": "f", "depth": 10, "width": 4, "channels_last": False,
        "batch_size": 16, "budget": 5, "evaluations": 3, "layers": ("embedding",),
        "learning_rate": 1e-3, "pollution": 0.1, "method_options": own,
        "augment": Augmentation(crop_scale=(0.4, 1), flip=0, saturation=0, hue=0, grey=0),
    }  # fmt: skip
    return TrialConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def split(digits):
    whole = one_class_split(*digits, 3, 0.1)
    return dataclasses.replace(
        whole, test_images=whole.test_images[:80], test_is_outlier=whole.test_is_outlier[:80]
    )


@pytest.fixture
def orders(monkeypatch):
    """The rows that every begun epoch was given, and its batches."""
    found = []
    begin = TrainingStep.begin

    def noting(step, epoch, rows=None):
        steps = begin(step, epoch, rows)
        found.append((rows, step._batches[:steps].clone()))
        return steps

    monkeypatch.setattr(TrainingStep, "begin", noting)
    return found


def test_it_is_the_method_it_stands_around_but_for_the_refinement():
    built = build_method(config())
    assert isinstance(built, STOC)
    assert isinstance(built, SimCLR)
    heads = {"projector_dim": 16, "hidden_dim": 32}
    plain = methods.build("simclr", ResNet(10, 4), NormVariant.F, heads)
    assert set(built.state_dict()) == {"kept", *plain.state_dict()}
    assert built.projector[-1].out_features == 16


def test_epochs_learn_from_all_images_until_a_vote_and_then_from_the_kept_alone(split, orders):
    count, batch = len(split.train_images), 16
    list(train(config(), split))
    rows = [given for given, _ in orders]
    assert rows[0] is None
    assert rows[1] is None
    assert rows[2].equal(rows[3])
    assert not rows[2].equal(rows[4])
    for given, batches in orders:
        allowed = range(count) if given is None else given.tolist()
        assert batches.shape == (count // batch, batch)  # as many steps as with all images
        assert set(batches.flatten().tolist()) <= set(allowed)
        assert all(len(set(each.tolist())) == batch for each in batches)
    for given in rows[2:]:
        assert 0.5 * count <= len(given) <= 0.9 * count


def test_a_vote_is_by_the_embeddings_of_the_network_as_it_is(split):
    method = build_method(config())
    features = embed(method, split.train_images, CPU)["embedding"]
    rows = method.training_rows(3, len(features), lambda: features)
    expected = refine(features, 5, 0.1, OneClass.GDE).nonzero().squeeze(1)
    assert rows.equal(expected)
    fail = pytest.fail
    assert method.training_rows(4, len(features), lambda: fail("no vote is due")).equal(expected)


def test_rows_are_those_of_all_instances_of_the_kept_images(split):
    own = {**SMALL, "base": "droc", "hidden_layers": 2}
    settings = config(norm="none", method_options=own)
    method = build_method(settings)
    images = torch.from_numpy(split.train_images)
    rows = method.training_rows(
        3, len(images), lambda: embed(method, images.numpy(), CPU)["embedding"]
    )
    kept = images[method.kept]
    turned = torch.cat([kept.rot90(turns, (2, 3)) for turns in range(4)])
    assert torch.equal(method.prepare(images)[rows], turned)


def test_interrupted_anywhere_it_goes_on_with_the_same_bits(split, tmp_path, orders):
    whole = list(train(config(evaluations=5), split))
    expected = [batches for _, batches in orders]
    assert [each.epoch for each in whole] == [1, 2, 3, 5]
    for stop in (2, 3):  # right before a vote, and between two: then the checkpoint has its outcome
        orders.clear()
        path = tmp_path / f"{stop}.ckpt"
        running = train(config(evaluations=5), split, checkpoint=path)
        while next(running).epoch <= stop:
            pass  # the one after it is asked for, so that it was saved
        running.close()
        orders.clear()
        again = list(train(config(evaluations=5), split, checkpoint=path))
        assert again[-1].signals == whole[-1].signals
        for key, scores in again[-1].test.scores.items():
            np.testing.assert_array_equal(scores, whole[-1].test.scores[key])
        resumed = [batches for _, batches in orders]
        assert len(resumed) == 5 - stop
        assert all(map(torch.equal, resumed, expected[stop:]))


@pytest.mark.parametrize(("kind", "scorer"), [("gde", GaussianDensity), ("kde", KDE)])
def test_its_own_score_is_fitted_on_what_the_network_keeps(split, kind, scorer):
    method = build_method(config(method_options={"one_class": kind})).eval()
    train_images, test_images = map(torch.from_numpy, (split.train_images, split.test_images))
    with torch.inference_mode():
        found = method.own_scores(train_images, test_images, Augmentation(), torch.Generator())
    known = embed(method, split.train_images, CPU)["embedding"]
    kept = refine(known, 5, 0.1, OneClass(kind))
    assert 0 < (~kept).sum() < len(kept)
    expected = scorer().fit(known[kept]).score(embed(method, split.test_images, CPU)["embedding"])
    np.testing.assert_allclose(found["stoc"], expected, rtol=1e-6)
    assert set(found) == {"stoc"}


def test_few_images_that_are_all_flagged_are_scored_by_a_model_of_all():
    method = build_method(config({"outlier_share": 0.5, "one_class": "kde"})).eval()
    images = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        found = method.own_scores(images, images, Augmentation(), torch.Generator())["stoc"]
    known = embed(method, images.numpy(), CPU)["embedding"]
    np.testing.assert_allclose(found, KDE().fit(known).score(known), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("base", ["rotnet", "csi", "goad", "panda", "msc"])
def test_a_base_with_a_score_of_its_own_keeps_it(base):
    options = {"base": base, **({"samples": 2} if base == "csi" else {})}
    method = methods.build("stoc", ResNet(10, 2), NormVariant.NONE, options)
    own = methods.build(base, ResNet(10, 2), NormVariant.NONE, {}).own_score_versions
    assert own
    images = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8)
    method.eval()
    with torch.no_grad():
        found = method.own_scores(images, images[:6], Augmentation(), torch.Generator())
    assert {name: each.shape for name, each in found.items()} == dict.fromkeys([*own, "stoc"], (6,))


def test_options_norms_and_recipe_are_those_of_its_base():
    assert methods.options("stoc") == {
        "base": "droc", "subsets": 5, "outlier_share": 0.1, "refine_every": 10, "one_class": "gde",
        **methods.options("droc"),
    }  # fmt: skip
    base = {"base": "byol"}
    assert methods.options("stoc", base)["ema"] == 0.99
    assert methods.norms("stoc", base) == methods.norms("byol")
    assert methods.instances("stoc") == 4
    assert methods.instances("stoc", base) == 1
    assert methods.recipe("stoc", base) == methods.recipe("byol")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method_options": {"base": "simclrr"}}, "unknown stoc's option base 'simclrr'; did you"),
        ({"method_options": {"base": ["byol"]}}, "unknown stoc's option base"),
        ({"method_options": {"base": "stoc"}}, "stoc's option base is 'stoc'; need another method"),
        ({"method_options": {"ema": 0.9}}, "unknown option of stoc 'ema'"),
        ({"method_options": {"one_class": "svm"}}, "one_class is 'svm'; need one of: gde, kde"),
        ({"method_options": {"subsets": 0}}, "stoc's option subsets is 0; need a whole number"),
        ({"norm": "both"}, "norm is 'both', which does not apply to stoc; use one of: none, f"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method_options": {"outlier_share": 0.6}}, r"outlier_share is 0.6; need a share in \(0"),
        ({"method_options": {"subsets": 500}}, "subsets is 500, above the 143 training images"),
        (
            {"method_options": {"outlier_share": 0.45}, "batch_size": 100},
            r"epoch 3 has \d+ of 143 training images to learn from, fewer than batch_size 100",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(split, changes, message):
    with pytest.raises(InputError, match=message):
        list(train(config(**changes), split))


def test_a_short_training_on_polluted_digits_finds_the_pollution(digits, tmp_path):
    """Digit 3, p = .1, seed 0: its own score .81 -> .96; of the pollution 0 is kept, of the normals
    .87. Never asked for the labels of either.

    Killed by it: a loss of 0, votes turned round (all of the pollution is kept).
    """
    polluted, path = one_class_split(*digits, 3, 0.1), tmp_path / "trained.ckpt"
    settings = config(
        {"base": "rotnet", "refine_every": 4, "subsets": 3},
        norm="none", width=8, budget=12, evaluations=1, learning_rate=3e-3, stem="3x3/2",
    )  # fmt: skip
    method = build_method(settings)
    before = own_scores(method, settings, polluted, CPU, last=True)["method", "stoc"]
    (after,) = train(settings, polluted, checkpoint=path)
    assert after.test.auroc["method", "stoc"] > auroc(before, polluted.test_is_outlier) + 0.1
    assert after.test.auroc["method", "stoc"] > 0.92
    method.load_state_dict(torch.load(path, weights_only=True)["method"])
    assert method.kept[polluted.is_pollution].float().mean() < 0.2
    assert method.kept[~polluted.is_pollution].float().mean() > 0.8
