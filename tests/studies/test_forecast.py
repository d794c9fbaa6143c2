"""Forecasts against multiplying by hand, and a measured one against the study itself."""

import re
import time

import pytest

from nsa_core import InputError, TrialConfig
from studies.batchsize_ablation import STUDY
from studies.cli import main
from studies.forecast import (
    OVERHEAD_S,
    START_S,
    check_hours,
    forecast,
    gpu_share,
    shape,
    shapes,
)
from studies.measure import Cost, measure
from tests.studies.conftest import TOY

COST = Cost(step_s=0.5, evaluate_s=0.01, memory_mb=600.0, disk_mb=3.0)
CONFIG = TrialConfig(batch_size=10, budget=20, evaluations=3)


def forecast_of(configs, at_once=2):
    costs = {shape(config): COST for config in configs}
    return forecast(configs, costs, lambda config: 105, 95, at_once)


def test_a_trial_is_its_steps_its_evaluations_and_the_overhead():
    (trial,) = forecast_of([CONFIG]).trials
    steps, evaluations = 20 * 10, 3
    assert trial.seconds == pytest.approx(0.5 * steps + evaluations * 200 * 0.01 + OVERHEAD_S)
    assert trial.memory_mb == 600.0
    assert trial.disk_mb > 3.0


def test_a_study_is_its_trials_side_by_side():
    one = forecast_of([CONFIG]).seconds - START_S
    assert forecast_of([CONFIG] * 10, at_once=2).seconds == pytest.approx(START_S + 5 * one)
    assert forecast_of([CONFIG], at_once=4).seconds == pytest.approx(START_S + one)
    assert re.search(r"\| memory, MB \| +600 \| +600 \| +1,200 \|", forecast_of([CONFIG]).lines())


def test_only_what_changes_the_cost_is_measured_apart():
    same = [
        TrialConfig(norm=norm, pollution=p, normal_class=c, seed=s, budget=b)
        for norm, p, c, s, b in (("none", 0.0, 1, 0, 5), ("both", 0.1, 2, 3, 7))
    ]
    assert len(shapes(same)) == 1
    other = [TrialConfig(batch_size=32), TrialConfig(width=32), TrialConfig(layers=("embedding",))]
    assert len(shapes([*same, *other])) == 4


def test_hours_that_are_enough_are_no_error():
    check_hours(forecast_of([CONFIG]), 1.0, [CONFIG])


def test_too_few_hours_say_what_would_fit():
    configs = [CONFIG] * 100
    found = forecast_of(configs)
    with pytest.raises(
        InputError, match=r"--max-hours is 0\.5; what would fit: the first (\d+)"
    ) as e:
        check_hours(found, 0.5, configs)
    count = int(re.search(r"the first (\d+) of 100 trials", str(e.value))[1])
    assert (
        forecast_of([CONFIG] * count).seconds <= 1800 < forecast_of([CONFIG] * (count + 1)).seconds
    )
    epochs = int(re.search(r"--epochs (\d+)", str(e.value))[1])
    shorter = [TrialConfig(batch_size=10, budget=epochs, evaluations=3)] * 100
    assert forecast_of(shorter).seconds == pytest.approx(1800, rel=0.1)


def test_nothing_fits_is_said():
    with pytest.raises(InputError, match="not even one trial fits"):
        check_hours(forecast_of([CONFIG]), 0.001, [CONFIG])


def costs(step_s: dict[int, float], memory_mb: float):
    asked = []

    def measured(copies: int) -> Cost:
        asked.append(copies)
        return Cost(step_s[copies], 0.0, memory_mb, 0.0)

    return measured, asked


def test_a_gpu_is_shared_while_that_makes_it_faster():
    measured, asked = costs({1: 1.0, 2: 1.0, 4: 1.5, 8: 2.9}, memory_mb=100)
    assert gpu_share(measured, 80_000) == 0.25  # 1, 2, 2.67, 2.76 steps a second
    assert asked == [1, 2, 4, 8]


def test_a_gpu_is_shared_no_further_than_its_memory_goes():
    measured, asked = costs({1: 1.0, 2: 1.0, 4: 1.0}, memory_mb=20_000)
    assert gpu_share(measured, 80_000) == 0.5  # four would need 96,000 with the margin
    assert asked == [1, 2]


def test_a_full_gpu_is_not_shared_and_a_small_one_refused():
    assert gpu_share(costs({1: 1.0, 2: 2.0}, 100)[0], 80_000) == 1.0
    with pytest.raises(InputError, match="a trial needs 9000 MB and the GPU has 8000"):
        gpu_share(costs({1: 1.0}, 9_000)[0], 8_000)


def test_what_cannot_run_is_an_error_when_it_is_measured():
    with pytest.raises(InputError, match="could not run: InputError: batch_size 100000 is larger"):
        measure(TrialConfig(batch_size=100_000), None, "cpu", 1, 1)


def test_a_dry_run_forecasts_what_the_study_takes(tmp_path, capsys):
    arguments = [*TOY, "--classes", "0,1", "--epochs", "6", "--store", str(tmp_path / "store")]
    assert main(STUDY, [*arguments, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    minutes, seconds = re.search(r"\| time .*\| +(\d+):(\d+) \|", shown).groups()
    assert not (tmp_path / "store").exists()
    started = time.monotonic()
    assert main(STUDY, arguments) == 0
    taken = time.monotonic() - started
    assert taken / 3 < 60 * int(minutes) + int(seconds) < 3 * taken  # a busy machine is noisy


def test_a_study_that_would_take_too_long_is_refused_and_leaves_nothing(tmp_path, capsys):
    arguments = [*TOY, "--epochs", "100000", "--store", str(tmp_path / "store")]
    assert main(STUDY, [*arguments, "--max-hours", "0.01"]) == 2
    assert "--max-hours is 0.01; what would fit: --epochs" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
