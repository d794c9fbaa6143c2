"""Forecasts against multiplying by hand, and a measured one against the study itself."""

import dataclasses
import re
import time
from dataclasses import replace

import pytest

from nsa_core import InputError, TrialConfig
from studies.batchsize_ablation import STUDY
from studies.cli import main
from studies.plan.forecast import (
    OVERHEAD_S,
    START_S,
    check_hours,
    forecast,
    gpu_share,
    shape,
    shapes,
)
from studies.plan.measure import Cost, measure
from tests.studies.conftest import TOY

COST = Cost(step_s=0.5, evaluate_s=0.01, memory_mb=600.0, disk_mb=3.0)
TINY = TrialConfig(
    depth=10, width=8, batch_size=16, method_options={"projector_dim": 16, "predictor_dim": 16}
)
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


def test_every_kind_of_trial_is_compiled_once():
    other = TrialConfig(batch_size=20, budget=20, evaluations=3, compile=True)
    configs = [TrialConfig(batch_size=10, budget=20, compile=True, seed=s) for s in (0, 1)]
    cost = Cost(0.5, 0.01, 600.0, 3.0, compile_s=40.0)
    costs = {shape(config): cost for config in (*configs, other)}
    found = forecast([*configs, other], costs, lambda config: 105, 95, 2)
    without = dataclasses.replace(found, compile_s=0.0)
    assert found.seconds == without.seconds + 2 * 40
    assert not found.not_compiled
    assert shape(configs[0]) != shape(dataclasses.replace(configs[0], compile=False))


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


def test_a_gpu_is_shared_by_no_more_trials_than_there_are_streams():
    measured, asked = costs(dict.fromkeys((1, 2, 4, 8, 16, 32), 1.0), memory_mb=1)
    assert gpu_share(measured, 80_000) == 1 / 32
    assert asked == [1, 2, 4, 8, 16, 32]


def test_trials_of_one_process_are_measured_for_a_share():
    """Really, on a CPU: two of one process share what torch takes."""
    found = {}

    def measured(copies: int) -> Cost:
        if copies > 2:  # enough: four are no faster than two
            return replace(found[2], step_s=2 * found[2].step_s)
        return found.setdefault(copies, measure(TINY, None, "cpu", 1, copies, packed=True))

    share = gpu_share(measured, 80_000)
    gain = 2 * found[1].step_s / found[2].step_s
    assert share == (0.5 if gain >= 1.1 else 1.0)
    assert 2 * found[2].memory_mb < 1.5 * found[1].memory_mb
    assert all(cost.step_s > 0 and cost.evaluate_s > 0 for cost in found.values())


def test_a_full_gpu_is_not_shared_and_a_small_one_refused():
    assert gpu_share(costs({1: 1.0, 2: 2.0}, 100)[0], 80_000) == 1.0
    with pytest.raises(InputError, match="a trial needs 9000 MB and the GPU has 8000"):
        gpu_share(costs({1: 1.0}, 9_000)[0], 8_000)


def test_what_cannot_run_is_an_error_when_it_is_measured():
    with pytest.raises(InputError, match="could not run: InputError: batch_size 100000 is larger"):
        measure(TrialConfig(batch_size=100_000), None, "cpu", 1, 1)


def test_a_dry_run_prints_the_grid_and_what_the_study_takes(undisturbed, tmp_path, capsys):
    """And it writes nothing. The study has run already, maybe while the machine was less busy, or
    more: if so it runs again, right after its forecast.
    """
    arguments = [*TOY, "--store", str(tmp_path / "store")]
    assert main(STUDY, [*arguments, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert not (tmp_path / "store").exists()
    assert "batchsize_ablation: 8 trials on digits" in shown
    assert re.search(r"batch_size +16, 64", shown)
    minutes, seconds = map(int, re.search(r"\| time .*\| +(\d+):(\d+) \|", shown).groups())
    foreseen = 60 * minutes + seconds
    taken = int(re.search(r"8 trials in (\d+) s", undisturbed[1].stdout)[1])
    if not taken / 3 < foreseen < 3 * taken:
        started = time.monotonic()
        assert main(STUDY, arguments) == 0
        taken = time.monotonic() - started
    assert taken / 3 < foreseen < 3 * taken


def test_a_study_that_would_take_too_long_is_refused_and_leaves_nothing(tmp_path, capsys):
    arguments = [*TOY, "--epochs", "100000", "--concurrency", "1"]
    arguments += ["--store", str(tmp_path / "store")]
    assert main(STUDY, [*arguments, "--max-hours", "0.01"]) == 2
    assert "--max-hours is 0.01; what would fit: --epochs" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
