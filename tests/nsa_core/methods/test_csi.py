import dataclasses
import math

import pytest
import torch

from nsa_core import InputError, NormVariant, TrialConfig, methods
from nsa_core.augment import Augmentation, augment
from nsa_core.methods import CSI
from nsa_core.models import ResNet
from nsa_core.training import plan
from tests.nsa_core.methods.learning import learned
from tests.nsa_core.methods.test_rotnet import log_probabilities
from tests.nsa_core.methods.test_simclr import double_loop

GREY = Augmentation(saturation=0, hue=0, grey=0)


def built(**options):
    torch.manual_seed(0)
    return CSI(ResNet(10, 4), NormVariant.NONE, **{"projector_dim": 8, "samples": 3, **options})


@pytest.fixture
def images(digits):
    return torch.from_numpy(digits[0].images[:5])


def test_the_loss_is_nt_xent_of_all_turns_as_instances_plus_their_classification(images):
    method, drawn = built(temperature=0.4), []
    stream = torch.Generator().manual_seed(0)

    def augmented(x, views):
        drawn.extend(augment(x, GREY, stream, views).chunk(views))
        return torch.cat(drawn)

    loss = method.loss(images, augmented)
    assert [len(views) for views in drawn] == [20, 20]
    assert not torch.equal(drawn[0][:5], drawn[0][5:10])  # each turn has a view of its own
    turned = [views[row].rot90(row // 5, (1, 2)) for views in drawn for row in range(20)]
    with torch.no_grad():
        y = method.encoder(torch.stack(turned))
        z1, z2 = method.projector(y).chunk(2)
        found = log_probabilities(method.classifier(y))
    shift = -sum(found[row][row % 20 // 5] for row in range(40)) / 40
    assert loss.item() == pytest.approx(double_loop(z1, z2, 0.4) + shift, rel=1e-4)


def slow_scores(method, train, test, recipe, stream):
    """METHODS, section 2.8, image by image and turn by turn from views drawn in the same order."""

    def means(images):
        copies = images.repeat(4, 1, 1, 1)
        views = [augment(copies, recipe, stream) for _ in range(method.samples)]
        projections, logits = [], []
        for row in range(len(images)):
            for_turns, of_turns = [], []
            for k in range(4):
                turned = torch.stack(
                    [each[k * len(images) + row].rot90(k, (1, 2)) for each in views]
                )
                y = method.encoder(turned)
                for_turns.append(method.projector(y).double().mean(dim=0))
                of_turns.append(method.classifier(y)[:, k].double().mean().item())
            projections.append(for_turns)
            logits.append(of_turns)
        return projections, logits

    known, known_logits = means(train)
    found, logits = means(test)
    scores = []
    for z, logit in zip(found, logits, strict=True):
        normality = 0.0
        for k in range(4):
            lengths = [each[k].norm().item() for each in known]
            inner = max((z[k] @ each[k]).item() / each[k].norm().item() for each in known)
            normality += inner / (sum(lengths) / len(lengths))
            normality += logit[k] / (sum(each[k] for each in known_logits) / len(known_logits))
        scores.append(-normality / 4)
    return torch.tensor(scores, dtype=torch.float64)


@torch.inference_mode()
def test_the_score_is_that_of_a_loop_over_images_turns_and_training_images(digits, images):
    method = built().eval()
    method.classifier[0].bias.fill_(2.0)  # the mean logit of the true turn is well above 0
    test = torch.from_numpy(digits[1].images[:7])
    streams = [torch.Generator().manual_seed(5) for _ in range(2)]
    score = method.own_scores(images, test, GREY, streams[0])["csi"]
    fixed = dataclasses.replace(GREY, crop_scale=(0.54, 0.54))
    expected = slow_scores(method, images, test, fixed, streams[1])
    torch.testing.assert_close(score.double(), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_the_score_reads_the_length_of_projections_and_not_their_scale(images):
    """An inner product, not a cosine; over its mean on training images."""
    method = built().eval()
    stream = torch.Generator()

    def score(test):
        return method.own_scores(images, test, GREY, stream.manual_seed(0))["csi"]

    before = score(images)
    method.projector[2].weight.mul_(3)
    method.projector[2].bias.mul_(3)
    torch.testing.assert_close(score(images), before, rtol=1e-4, atol=1e-5)
    known, logit = method._means(images, GREY, stream.manual_seed(0))
    method._means = lambda x, *_: (known if len(x) == 5 else 2 * known[:, :2], logit[:, : len(x)])
    shorter, longer = score(images)[:2], score(images[:2])
    similarity = known.norm(dim=-1) / known.norm(dim=-1).mean(dim=1, keepdim=True)
    # a training image is its own nearest direction: twice as long, twice the similarity
    axes = torch.nn.functional.normalize(known, dim=-1)
    closest = (known @ axes.mT).amax(dim=2) / known.norm(dim=-1).mean(dim=1, keepdim=True)
    torch.testing.assert_close(shorter - longer, closest.mean(dim=0)[:2], rtol=1e-4, atol=1e-5)
    assert (closest >= similarity - 1e-5).all()


@torch.inference_mode()
def test_an_image_costs_four_passes_a_sample(images):
    method, passed = built(samples=7).eval(), []
    method.encoder.register_forward_pre_hook(lambda _, given: passed.append(len(given[0])))
    method.own_scores(images[:2], images, GREY, torch.Generator())
    assert sum(passed) == 4 * 7 * (2 + 5)


def test_the_rate_rises_to_its_peak_of_1_in_ten_epochs():
    """METHODS, section 2.8: the rate of 0.1 that CSI names is multiplied by 10 in its warm-up."""
    config = TrialConfig(method="csi", **methods.recipe("csi"))
    schedule = plan(config, 5000)
    rates = [config.learning_rate * schedule.learning_rate_factor(step) for step in range(800)]
    assert schedule.steps_per_epoch == 39
    assert rates[389] == rates[390] == max(rates) == 1.0
    assert rates[0] < 0.01
    assert (config.optimiser, config.momentum, config.weight_decay) == ("lars", 0.9, 1e-6)
    assert methods.options("csi") == {"projector_dim": 128, "temperature": 0.5, "samples": 40}


def test_the_heads_have_no_batch_norm_and_their_hidden_layer_is_the_embeddings_width():
    method = built(projector_dim=128)
    shapes = [tuple(value.shape) for value in method.projector.parameters()]
    assert shapes == [(32, 32), (32,), (128, 32), (128,)]
    assert [tuple(value.shape) for value in method.classifier.parameters()] == [(4, 32), (4,)]


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="temperature is 0"):
        built(temperature=0)
    with pytest.raises(InputError, match="csi's option samples is 0"):
        methods.checked_options("csi", {"samples": 0})
    assert math.isfinite(built().temperature)


def test_a_short_training_on_real_digits_learns_what_both_losses_say(digits):
    """Digit 3, seed 0: its own score .502 -> .949, turns told .25 -> 1, views of one image nearer
    than others by .007 -> .042.

    Killed by it: one label for all turns (score .85), no contrast or partners exchanged (.006).
    """
    before, after = learned(
        "csi", digits, 3, batch_size=16, budget=12, learning_rate=3.0, warmup_epochs=1,
        method_options={"samples": 2, "projector_dim": 32},
    )  # fmt: skip
    assert before.auroc["csi"] < 0.7
    assert after.auroc["csi"] > 0.9
    assert after.turns > 0.9
    assert after.partners > 3 * before.partners
