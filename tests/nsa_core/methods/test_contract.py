"""What every method promises to whoever trains, stores and scores it."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch

from nsa_core import InputError, TrialConfig, auroc, methods, scorers, train
from nsa_core.augment import Augmentation, augment
from nsa_core.training import build_method
from nsa_core.training.schedule import plan
from tests.nsa_core.methods.small import FROM_SCRATCH, SMALL
from tests.nsa_core.small_split import small_split

IMAGES, BATCH = 40, 8
NAMES = pytest.mark.parametrize("name", methods.available())
TRAINED = pytest.mark.parametrize("name", [*filter(methods.trains, methods.available())])
NO_VIEWS = ("goad", "panda")  # whose losses draw nothing
GREY = Augmentation(crop_scale=(0.4, 1), flip=0.5, saturation=0, hue=0, grey=0)


def config(name, **changes) -> TrialConfig:
    """The published recipe at a size for tests: two epochs, each evaluated."""
    size = {
        "batch_size": BATCH, "budget": 2, "evaluations": 2, "layers": ("embedding",),
        "warmup_epochs": 0, "augment": GREY,
    }  # fmt: skip
    if methods.has_backbone(name):
        size |= {"backbone": "efficientnet_lite0", "image_size": 32}
    else:
        size |= {"depth": 10, "width": 4, "channels_last": False, "method_options": SMALL[name]}
    return TrialConfig(method=name, **{**methods.recipe(name), **size, **changes})


@pytest.fixture(scope="module")
def split(digits):
    return small_split(digits, IMAGES, 60)


@TRAINED
def test_its_recipe_is_a_whole_published_training(name):
    """The length, the batch, the optimiser and the norm at least; and its schedule has steps."""
    recipe = methods.recipe(name)
    assert {"norm", "batch_size", "budget", "learning_rate"} <= set(recipe)
    backbone = {"backbone": "efficientnet_lite0"} if methods.has_backbone(name) else {}
    published = TrialConfig(method=name, **recipe, **backbone)
    assert TrialConfig.from_dict(published.to_dict()) == published
    assert plan(published, 5000).total_steps > (1000 if backbone else 4000)
    recipe["budget"] = 1
    assert methods.recipe(name)["budget"] > 1  # a copy was changed


@TRAINED
def test_an_epoch_runs_over_all_instances(split, name):
    method = build_method(config(name))
    images = torch.from_numpy(split.train_images)
    prepared = method.prepare(images)
    count = methods.instances(name)
    assert prepared.dtype == torch.uint8
    assert prepared.shape == (count * IMAGES, *images.shape[1:])
    assert torch.equal(prepared[:IMAGES], images)
    assert plan(config(name), IMAGES).steps_per_epoch == count * IMAGES // BATCH


@TRAINED
def test_its_loss_is_a_number_with_gradients_in_all_that_is_trained(split, name):
    torch.manual_seed(0)
    method = build_method(config(name)).train()
    stream = torch.Generator().manual_seed(0)
    loss = method.loss(
        torch.from_numpy(split.train_images), lambda x, n=1, **_: augment(x, GREY, stream, n)
    )
    assert loss.shape == ()
    loss.backward()
    for key, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
    trained = [each for each in method.encoder.parameters() if each.requires_grad]
    assert trained[0].grad.abs().sum() > 0


@TRAINED
def test_all_its_randomness_is_augments(split, name):
    method = build_method(config(name)).train()
    images = torch.from_numpy(split.train_images)

    def loss(seed):
        stream = torch.Generator().manual_seed(seed)
        return method.loss(images, lambda x, n=1, **_: augment(x, GREY, stream, n)).item()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = loss(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert loss(0) == one
    assert (loss(1) == one) == (name in NO_VIEWS)


@pytest.mark.parametrize("name", FROM_SCRATCH)  # of the others test_pretrained asks it
def test_interrupted_after_an_epoch_it_goes_on_with_the_same_bits(split, name, tmp_path):
    settings, path = config(name), tmp_path / "trial.ckpt"
    whole = list(train(settings, split))
    running = train(settings, split, checkpoint=path)
    next(running)
    assert next(running).signals == whole[1].signals  # asked for, so that the first was saved
    running.close()
    (last,) = train(settings, split, checkpoint=path)
    assert last.signals == whole[1].signals
    assert last.test.scores.keys() == whole[1].test.scores.keys()
    for key, scores in last.test.scores.items():
        np.testing.assert_array_equal(scores, whole[1].test.scores[key])


@NAMES
def test_its_own_scores_are_what_it_says_when_it_says(split, name):
    method = build_method(config(name))
    own = set(method.own_score_versions)
    assert own <= set(methods.own_score_versions())
    assert not own & set(scorers.available())
    evaluations = list(train(config(name), split))
    for each in evaluations:
        due = own if each is evaluations[-1] or not method.scores_at_the_end else set()
        assert {score for layer, score in each.test.scores if layer == "method"} == due
        for score in due:
            values = each.test.scores["method", score]
            assert values.shape == (60,)
            assert values.dtype == np.float64
            assert np.isfinite(values).all()
            assert each.test.auroc["method", score] == auroc(values, split.test_is_outlier)


def test_names_of_own_scores_belong_to_one_method():
    kinds = [getattr(methods, each) for each in methods.__all__]
    kinds = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, methods.Method)]
    names = [score for kind in kinds for score in kind.own_score_versions]
    assert len(names) == len(set(names))
    assert set(methods.own_score_versions()) == set(names)


@pytest.mark.parametrize(
    "name", [name for name in FROM_SCRATCH if name not in ("simsiam", "byol", "simclr")]
)
def test_a_method_that_turns_images_refuses_those_that_are_not_square(split, name):
    oblong = dataclasses.replace(split, train_images=split.train_images[:, :, :12])
    with pytest.raises(InputError, match="images are 12x16; a method that turns them by 90 deg"):
        next(train(config(name), oblong))
