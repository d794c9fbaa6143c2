import itertools
import math

import pytest

from nsa_core import InputError, TrialConfig
from nsa_core.training import log_spaced, plan


@pytest.mark.parametrize("count", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("last", [1, 2, 3, 7, 100, 4000])
def test_log_spaced_rises_from_1_to_the_last_without_repeats(last, count):
    points = log_spaced(last, count)
    assert points[-1] == last
    assert list(points) == sorted(set(points))
    assert len(points) <= min(count, last)
    assert points[0] >= 1
    if count > 1:
        assert points[0] == 1


def test_log_spaced_is_even_in_the_logarithm():
    assert log_spaced(1000, 4) == (1, 10, 100, 1000)
    points = log_spaced(4000, 10)
    assert len(points) == 10
    steps = [math.log(b / a) for a, b in itertools.pairwise(points[3:])]
    assert max(steps) / min(steps) < 1.05


@pytest.mark.parametrize(
    ("images", "batch", "epochs", "per_epoch", "total"),
    [(5000, 512, 4000, 9, 36_000), (5000, 512, 500, 9, 4_500), (5000, 32, 4000, 156, 624_000)],
)
def test_steps_are_those_of_methods_section_1_5(images, batch, epochs, per_epoch, total):
    schedule = plan(TrialConfig(batch_size=batch, budget=epochs), images)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (per_epoch, total)
    assert schedule.epochs == schedule.evaluate_after[-1] == epochs


def test_a_budget_in_steps_cuts_the_last_epoch_short():
    schedule = plan(TrialConfig(batch_size=32, budget=400, budget_unit="steps"), 5000)
    assert (schedule.total_steps, schedule.steps_per_epoch, schedule.epochs) == (400, 156, 3)
    whole = plan(TrialConfig(batch_size=32, budget=312, budget_unit="steps"), 5000)
    assert whole.epochs == 2


def test_learning_rate_falls_along_half_a_cosine():
    schedule = plan(TrialConfig(batch_size=10, budget=10), 100)
    factors = [schedule.learning_rate_factor(step) for step in range(101)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.5)
    assert factors[25] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert factors[100] == pytest.approx(0, abs=1e-15)
    assert factors == sorted(factors, reverse=True)


def test_a_warm_up_rises_in_equal_steps_to_the_rate_and_the_cosine_starts_there():
    schedule = plan(TrialConfig(batch_size=10, budget=10, warmup_epochs=2), 100)
    factors = [schedule.learning_rate_factor(step) for step in range(101)]
    assert schedule.warmup_steps == 20
    assert factors[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert factors[20] == 1
    assert factors[60] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0, abs=1e-15)
    assert factors[20:] == sorted(factors[20:], reverse=True)


@pytest.mark.parametrize(("unit", "budget"), [("epochs", 3), ("steps", 30), ("steps", 25)])
def test_a_warm_up_that_leaves_no_step_is_refused_with_both_numbers(unit, budget):
    config = TrialConfig(batch_size=10, budget=budget, budget_unit=unit, warmup_epochs=3)
    steps = 30 if unit == "epochs" else budget
    with pytest.raises(InputError, match=f"warmup_epochs is 3, which is 30 of .* {steps} steps"):
        plan(config, 100)


def test_an_epoch_of_a_method_that_turns_images_has_four_times_as_many_steps():
    """METHODS, section 1.5: 20,000 / 32 = 625 steps by 2,048 epochs are 1.28 million."""
    config = TrialConfig(method="droc", norm="none", batch_size=32, budget=2048)
    assert plan(config, 5000).steps_per_epoch == 625
    assert plan(config, 5000).total_steps == 1_280_000


def test_a_batch_larger_than_the_set_is_refused_with_both_numbers():
    config = TrialConfig(batch_size=512, normal_class=3)
    with pytest.raises(InputError, match="batch_size 512 is larger than the training set of 125"):
        plan(config, 125)
    assert plan(TrialConfig(batch_size=125), 125).steps_per_epoch == 1
