"""The optimisers against plain loops, and what a captured step and a checkpoint need of them."""

import copy
import math

import pytest
import torch

from nsa_core import TrialConfig, train
from nsa_core.training import build_method
from nsa_core.training.optimiser import LARS, build_optimiser, restore
from tests.nsa_core.small_split import small_split
from tests.nsa_core.training.recorder import record
from tests.nsa_core.training.test_steps import HEADS
from tests.nsa_core.waits import Waits

OPTIMISERS = {
    "adam": {"optimiser": "adam", "learning_rate": 1e-3},
    "sgd": {"optimiser": "sgd", "learning_rate": 0.05, "momentum": 0.8},
    "plain-sgd": {"optimiser": "sgd", "learning_rate": 0.05, "momentum": 0.0},
    "lars": {"optimiser": "lars", "learning_rate": 1.0, "momentum": 0.8},
}
EACH = pytest.mark.parametrize("name", OPTIMISERS)


def config(name, **changes) -> TrialConfig:
    """BYOL, some of whose parameters have no gradient."""
    settings = {
        "method": "byol", "norm": "f", "depth": 10, "width": 4, "batch_size": 8, "budget": 3,
        "evaluations": 3, "layers": ("embedding",), "channels_last": False, "weight_decay": 0.02,
        "method_options": HEADS["byol"], **OPTIMISERS[name],
    }  # fmt: skip
    return TrialConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def split(digits):
    return small_split(digits, 27, 40)


def lars(values, gradients, velocities, rate, decay, momentum):
    """One step of You et al. 2017 on lists of Python's numbers, in float64."""
    moved = []
    for value, gradient, velocity in zip(values, gradients, velocities, strict=True):
        length = math.sqrt(sum(each * each for each in value))
        slope = math.sqrt(sum(each * each for each in gradient))
        trust = 0.001 * length / (slope + decay * length) if length and slope else 1.0
        for k in range(len(value)):
            step = trust * (gradient[k] + decay * value[k])
            velocity[k] = momentum * velocity[k] + step
        moved.append([v - rate * m for v, m in zip(value, velocity, strict=True)])
    return moved


def sgd(values, gradients, velocities, rate, decay, momentum):
    """One step of SGD with momentum; weight decay is a part of the gradient."""
    moved = []
    for value, gradient, velocity in zip(values, gradients, velocities, strict=True):
        for k in range(len(value)):
            velocity[k] = momentum * velocity[k] + gradient[k] + decay * value[k]
        moved.append([v - rate * m for v, m in zip(value, velocity, strict=True)])
    return moved


@pytest.mark.parametrize("name", ["sgd", "plain-sgd", "lars"])
def test_every_step_of_a_training_is_that_of_a_loop_over_numbers(split, name):
    """Biases and batch norms are decayed and scaled like all others; a bias of zero steps by 1."""
    settings = config(name, width=1, budget=2, evaluations=1, warmup_epochs=1)
    recorder, _ = record(train(settings, split))
    step = lars if name == "lars" else sgd
    values = [value.double().flatten().tolist() for value in recorder.before[0]]
    assert any(not any(value) for value in values)  # a bias
    velocities = [[0.0] * len(value) for value in values]
    rates = [s / 3 for s in (1, 2, 3)] + [(1 + math.cos(math.pi * s / 3)) / 2 for s in range(3)]
    for gradients, after, rate in zip(recorder.gradients, recorder.after, rates, strict=True):
        plain = [gradient.double().flatten().tolist() for gradient in gradients]
        values = step(
            values, plain, velocities, rate * settings.learning_rate, 0.02, settings.momentum
        )
        for ours, theirs in zip(after, values, strict=True):
            expected = torch.tensor(theirs, dtype=torch.float64)
            torch.testing.assert_close(ours.double().flatten(), expected, rtol=1e-4, atol=1e-6)


def test_a_step_of_lars_is_a_fixed_share_of_a_tensors_length_whatever_the_gradients_scale():
    for scale in (1e-3, 1.0, 1e3):
        weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        weight.grad = scale * torch.tensor([0.6, -0.8])
        LARS([weight], 2.0, momentum=0.9, weight_decay=0.0).step()
        expected = torch.tensor([3 - 2 * 0.005 * 0.6, 4 + 2 * 0.005 * 0.8])
        torch.testing.assert_close(weight.detach(), expected)


@EACH
def test_interrupted_it_goes_on_with_the_same_bits(split, name, tmp_path):
    settings, path = config(name, warmup_epochs=1), tmp_path / "trial.ckpt"
    whole = [each.signals for each in train(settings, split)]
    running = train(settings, split, checkpoint=path)
    assert [next(running).signals, next(running).signals] == whole[:2]
    running.close()  # the second was not acknowledged, and comes again
    assert [each.signals for each in train(settings, split, checkpoint=path)] == whole[1:]


@pytest.mark.parametrize("saved", [False, True], ids=["on-a-cpu", "on-cuda"])
def test_a_checkpoint_goes_on_with_the_flag_of_the_device_that_it_is_loaded_on(saved):
    """Adam is captured on CUDA only with the flag, and a CPU does not take it."""
    settings = config("adam")
    method = build_method(settings)
    first, second = (build_optimiser(method, settings) for _ in range(2))
    for parameter in method.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    first.step()
    state = copy.deepcopy(first.state_dict())
    state["param_groups"][0]["capturable"] = saved
    second.param_groups[0]["capturable"] = not saved
    restore(second, state)
    assert second.param_groups[0]["capturable"] is not saved
    for parameter, moments in first.state.items():
        for name, value in moments.items():
            assert torch.equal(second.state[parameter][name], value)


@EACH
def test_a_step_waits_for_nothing_and_reads_its_rate_from_a_tensor(name):
    settings = config(name)
    method = build_method(settings)
    optimiser = build_optimiser(method, settings)
    rate = torch.tensor(0.1, dtype=torch.float64)
    for group in optimiser.param_groups:
        group["lr"] = rate
    moves = []
    for value in (0.1, 0.0):
        rate.fill_(value)
        for parameter in method.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.ones_like(parameter)
        before = [parameter.detach().clone() for parameter in method.parameters()]
        with Waits() as waits:
            optimiser.step()
        assert waits.found == []
        after = [parameter.detach() for parameter in method.parameters()]
        moves.append(sum(float((a - b).abs().sum()) for a, b in zip(after, before, strict=True)))
    assert moves[0] > 0
    assert moves[1] == 0  # the tensor's value, not a number that was read once


@EACH
def test_parameters_without_a_gradient_stay_and_have_no_state(name):
    settings = config(name)
    method = build_method(settings)
    optimiser = build_optimiser(method, settings)
    target = [p.detach().clone() for p in method.target_encoder.parameters()]
    for parameter in method.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    for before, after in zip(target, method.target_encoder.parameters(), strict=True):
        assert torch.equal(before, after)
        assert not optimiser.state[after]
