"""Every part of a training step, recorded while ``train`` runs and computed again here."""

import math

import pytest
import torch
import torch.nn.functional as F

from nsa_core import NormVariant, TrialConfig, methods, train
from nsa_core.augment import Augmentation, augment
from nsa_core.seeds import generator
from tests.nsa_core.methods.small import SMALL
from tests.nsa_core.small_split import small_split
from tests.nsa_core.training.recorder import record

CPU = torch.device("cpu")
HEADS = {
    "simsiam": {"projector_dim": 16, "predictor_dim": 8},
    "byol": {"projector_dim": 8, "hidden_dim": 16, "ema": 0.6},
    "simclr": {"projector_dim": 8, "hidden_dim": 16},
}
VIEWS = {"simsiam": 2, "byol": 2, "simclr": 1}
"""How many parts of a batch a batch norm sees apart; SimCLR's views pass together."""
UNCHANGED = Augmentation((1, 1), (1, 1), 0, 0, 0, 0, 0, 0, 0)
IMAGES, BATCH, PER_EPOCH, STEPS = 27, 8, 3, 8  # the third epoch is cut short


def config(method="simsiam", **changes) -> TrialConfig:
    settings = {
        "method": method, "norm": "f" if NormVariant.F in methods.norms(method) else "none",
        "depth": 10, "width": 4, "batch_size": BATCH, "seed": 3,
        "budget": STEPS, "budget_unit": "steps", "evaluations": 1, "layers": ("embedding",),
        "channels_last": False, "learning_rate": 1e-3,
        "method_options": HEADS.get(method, SMALL[method]),
    }  # fmt: skip
    return TrialConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def split(digits):
    return small_split(digits, IMAGES, 60)


@pytest.fixture(scope="module")
def simsiam(split):
    """Eight steps with random views and a weight decay that is felt."""
    settings = config(weight_decay=0.3)
    return settings, record(train(settings, split))[0]


def orders(seed):
    """The rows of every step's batch."""
    found = []
    for epoch in (1, 2, 3):
        order = torch.randperm(IMAGES, generator=generator(CPU, seed, "order", epoch))
        found += order[: PER_EPOCH * BATCH].split(BATCH)
    return found[:STEPS]


def test_every_epoch_takes_whole_batches_in_an_order_of_its_own(split):
    """Killed by it: no shuffling."""
    recorder, _ = record(train(config(augment=UNCHANGED), split))
    assert [len(views) for views in recorder.views] == [2 * BATCH] * STEPS
    pixels = torch.from_numpy(split.train_images).flatten(1)
    taken = []
    for views in recorder.views:
        first, second = (views * 255).round().byte().flatten(1).chunk(2)
        assert torch.equal(first, second)
        equal = (first[:, None] == pixels).all(dim=2)
        assert (equal.sum(dim=1) == 1).all()
        taken.append(equal.int().argmax(dim=1))
    assert all(torch.equal(a, b) for a, b in zip(taken, orders(3), strict=True))
    one, two = torch.cat(taken[:PER_EPOCH]), torch.cat(taken[PER_EPOCH : 2 * PER_EPOCH])
    for rows in (one, two):
        assert len(rows.unique()) == PER_EPOCH * BATCH
        assert not torch.equal(rows, rows.sort().values)
    assert not torch.equal(one, two)


def test_both_views_of_every_step_are_drawn_anew_from_the_streams_of_their_epoch(split, simsiam):
    """Killed by it: the same views every epoch."""
    settings, recorder = simsiam
    images = torch.from_numpy(split.train_images)
    for step, rows in enumerate(orders(settings.seed)):
        if step % PER_EPOCH == 0:
            stream = generator(CPU, settings.seed, "views", 1 + step // PER_EPOCH)
        expected = [augment(images[rows], settings.augment, stream) for _ in range(2)]
        assert torch.equal(recorder.views[step], torch.cat(expected))
        assert not torch.equal(*expected)


def rate(settings, step):
    return settings.learning_rate * (1 + math.cos(math.pi * step / STEPS)) / 2


def test_the_rate_of_every_step_lies_on_half_a_cosine(simsiam):
    """Killed by it: the trainer ignores the cosine."""
    settings, recorder = simsiam
    assert len(recorder.rates) == STEPS
    for step, rates in enumerate(recorder.rates):
        assert rates == [pytest.approx(rate(settings, step), rel=1e-6)]


def test_every_step_is_adams_with_the_rate_and_the_weight_decay(simsiam):
    """Killed by it: weight decay ignored. From the recorded gradients, by torch's plain Adam."""
    settings, recorder = simsiam
    ours = [torch.nn.Parameter(value) for value in recorder.before[0]]
    adam = torch.optim.Adam(ours, foreach=False, weight_decay=settings.weight_decay)
    for step, (gradients, after) in enumerate(zip(recorder.gradients, recorder.after, strict=True)):
        adam.param_groups[0]["lr"] = rate(settings, step)
        for parameter, gradient in zip(ours, gradients, strict=True):
            parameter.grad = gradient
        adam.step()
        for parameter, value in zip(ours, after, strict=True):
            torch.testing.assert_close(parameter.detach(), value, rtol=1e-5, atol=1e-7)


def test_byols_target_follows_with_a_decay_that_rises_with_progress(split):
    """Killed by it: BYOL's progress always 0. Seen from the target's weights, step by step."""
    settings = config("byol")
    recorder, _ = record(train(settings, split))
    ema = settings.method_options["ema"]
    _, target = recorder.encoders
    assert not any(p.requires_grad for p in target.parameters())
    slow = recorder.encoder_weights[0][1]
    decays = []
    for step, weights in enumerate(recorder.encoder_weights):
        for ours, theirs in zip(slow, weights[1], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
        progress = (step + 1) / STEPS
        decays.append(1 - (1 - ema) * (math.cos(math.pi * progress) + 1) / 2)
        slow = [
            decays[-1] * ours + (1 - decays[-1]) * theirs
            for ours, theirs in zip(slow, weights[0], strict=True)
        ]
    assert decays[-1] == 1
    for ours, theirs in zip(slow, target.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)


def test_bf16_is_on_in_the_encoder_and_changes_the_loss(split):
    """Killed by it: bf16 never on."""
    losses = {}
    for precision, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        settings = config(width=8, channels_last=True, budget=2, precision=precision)
        recorder, (last,) = record(train(settings, split))
        assert recorder.map_types == [kind] * 2
        losses[precision] = last.signals.loss
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], abs=0.05)


@pytest.mark.parametrize("method", sorted(HEADS))
def test_batch_norm_sees_the_views_apart_or_together_as_the_method_has_it(split, method):
    """Killed by it: SimCLR's batch norm per view. Against torch's on the recorded inputs."""
    recorder, _ = record(train(config(method, budget=1), split))
    assert len(recorder.norms) >= 13  # twelve in the encoder
    for given, weight, bias, eps, found in recorder.norms:
        parts = [
            F.batch_norm(part, None, None, weight, bias, training=True, eps=eps)
            for part in given.chunk(VIEWS[method])
        ]
        torch.testing.assert_close(found, torch.cat(parts), rtol=1e-4, atol=1e-5)
