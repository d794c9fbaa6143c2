"""The one step of every method: what a capture needs of it, and that it changes no bit."""

import pytest
import torch

from nsa_core import InputError, train
from nsa_core.training import build_method
from nsa_core.training.optimiser import build_optimiser
from nsa_core.training.schedule import plan
from nsa_core.training.step import TrainingStep
from tests.nsa_core.methods.small import FROM_SCRATCH
from tests.nsa_core.training.test_steps import BATCH, PER_EPOCH, STEPS, config, split
from tests.nsa_core.waits import Waits

__all__ = ["split"]  # a fixture

OTHERS = ({"optimiser": "sgd"}, {"optimiser": "lars", "learning_rate": 1.0})
"""Beside Adam."""


def made(split, method, device="cpu", **changes):
    return made_of(config(method, weight_decay=0.01, **changes), split, device)


def made_of(settings, split, device="cpu"):
    """A step, its method and its optimiser, as ``train`` makes them."""
    built = build_method(settings).to(device)
    optimiser = build_optimiser(built, settings)
    images = built.prepare(torch.tensor(split.train_images, device=device))
    schedule = plan(settings, len(split.train_images))
    return TrainingStep(built, optimiser, settings, schedule, images), built, optimiser


def run(step, epochs) -> list[float]:
    losses = []
    for epoch in epochs:
        for _ in range(step.begin(epoch)):
            step()
        losses.append(step.loss.item())
    return losses


def values(method, optimiser) -> list[torch.Tensor]:
    states = [value for state in optimiser.state.values() for value in state.values()]
    return [each.detach().clone() for each in [*method.state_dict().values(), *states]]


def test_an_epoch_has_its_whole_batches_and_the_last_may_be_cut_short(split):
    step, _, _ = made(split, "simsiam")
    assert [step.begin(epoch) for epoch in (1, 2, 3)] == [PER_EPOCH, PER_EPOCH, STEPS % PER_EPOCH]


@pytest.mark.parametrize("kept", [8, 11, 17, 27])
def test_an_epoch_of_some_rows_has_as_many_steps_from_these_alone_and_none_twice_in_a_batch(
    split, kept
):
    step, _, _ = made(split, "simsiam")
    rows = torch.randperm(27, generator=torch.Generator().manual_seed(kept))[:kept].sort().values
    orders = []
    for epoch in (1, 2, 1):
        assert step.begin(epoch, rows) == PER_EPOCH
        orders.append(step._batches.clone())
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])
    for order in orders:
        assert order.shape == (PER_EPOCH, BATCH)
        assert set(order.flatten().tolist()) <= set(rows.tolist())
        assert all(len(set(batch.tolist())) == BATCH for batch in order)
        times = torch.bincount(order.flatten(), minlength=27)[rows]
        assert times.max() <= -(-PER_EPOCH // (kept // BATCH))  # no row more often than shuffles
    if kept == 27:
        step.begin(1)
        assert torch.equal(step._batches, orders[0])  # all rows named, or none


def test_fewer_rows_than_a_batch_are_refused(split):
    step, _, _ = made(split, "simsiam")
    with pytest.raises(InputError, match="epoch 4 has 7 of 27 training images to learn from"):
        step.begin(4, torch.arange(7))


@pytest.mark.parametrize("trained", [0, 1], ids=["fresh", "resumed"])
@pytest.mark.parametrize(
    ("method", "changes"),
    [*((method, {}) for method in FROM_SCRATCH), *(("byol", each) for each in OTHERS)],
    ids=str,
)
def test_a_rehearsal_before_a_capture_leaves_no_trace(split, method, changes, trained):
    step, built, optimiser = made(split, method, **changes)
    run(step, range(1, trained + 1))
    before = values(built, optimiser)
    step._rehearse()
    after = values(built, optimiser)
    known = len(before)  # a fresh optimiser has got its moments, which are zero
    assert all(torch.equal(a, b) for a, b in zip(after[:known], before, strict=True))
    assert not any(each.any() for each in after[known:])
    undisturbed, _, _ = made(split, method, **changes)
    expected = run(undisturbed, (1, 2, 3))
    assert run(step, range(trained + 1, 4)) == expected[trained:]


@pytest.mark.parametrize("method", FROM_SCRATCH)
def test_it_waits_for_nothing_but_what_a_cpu_chooses_by_index(split, method):
    step, _, _ = made(split, method, batch_size=BATCH)
    step.begin(1)
    step()
    with Waits() as waits:
        step()
    assert {name.partition(".")[0].rpartition("::")[2] for name in waits.found} <= {"nonzero"}


def test_a_loaded_optimiser_gets_the_rate_of_the_step(split):
    """Checkpoints of versions before hold a Python number."""
    step, _, optimiser = made(split, "simsiam")
    run(step, [1])
    state = optimiser.state_dict()
    state["param_groups"][0]["lr"] = 7.0
    _, built, other = made(split, "simsiam")
    other.load_state_dict(state)
    settings = config("simsiam")
    images = torch.tensor(split.train_images)
    TrainingStep(built, other, settings, plan(settings, len(images)), images)
    assert float(other.param_groups[0]["lr"]) == settings.learning_rate


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize(
    ("method", "changes"),
    [*((method, {}) for method in FROM_SCRATCH), *(("byol", each) for each in OTHERS)],
    ids=str,
)
def test_on_cuda_a_captured_step_gives_the_bits_of_the_eager_one(
    split, method, changes, monkeypatch
):
    captured = run(made(split, method, "cuda", **changes)[0], (1, 2, 3))
    monkeypatch.setattr(TrainingStep, "_capture", lambda self: None)
    assert run(made(split, method, "cuda", **changes)[0], (1, 2, 3)) == captured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_on_cuda_a_training_that_was_interrupted_goes_on_with_the_same_bits(split, tmp_path):
    settings = config("byol", evaluations=3)
    whole = [each.signals.loss for each in train(settings, split, "cuda")]
    path = tmp_path / "checkpoint.pt"
    first = train(settings, split, "cuda", path)
    found = [next(first).signals.loss, next(first).signals.loss]  # the second asks for the save
    first.close()
    rest = [each.signals.loss for each in train(settings, split, "cuda", path)]
    assert [found[0], *rest] == whole


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("method", FROM_SCRATCH)
def test_on_cuda_a_wait_in_a_captured_step_is_an_error(split, method):
    step, _, _ = made(split, method, "cuda")
    steps = step.begin(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(steps):
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(step.loss)
