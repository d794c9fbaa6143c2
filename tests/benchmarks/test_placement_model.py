"""The event simulation against what can be worked out by hand."""

import pytest

from tests.benchmarks.test_scripts import FOLDER


@pytest.fixture
def model(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import placement_model

    monkeypatch.setattr(placement_model, "_SIGMA", 0.0)  # trials of equal length
    return placement_model


def run(model, *case, equal=False, driver_s=0.0, gain=0.5):
    return model.Simulation(model.Case(*case, equal), driver_s, gain, seed=0).run()


def test_whole_gpus_take_one_round_after_another(model):
    seen = run(model, 2, 2, 1.0, 10, 60.0)  # three rounds on four GPUs, the last of two trials
    assert seen.now == pytest.approx(180)
    assert seen.spent == pytest.approx({"busy": 600, "waiting": 0, "end": 120, "beside": 0})


def test_a_gpu_that_four_trials_share_is_as_fast_as_the_gain_says(model):
    seen = run(model, 1, 1, 0.25, 8, 10.0, gain=1.0)
    assert seen.now == pytest.approx(20)
    assert run(model, 1, 1, 0.25, 8, 10.0, gain=0.0).now == pytest.approx(80)


def test_five_trials_on_four_gpus_by_wave_and_as_ray_packs_them(model):
    # two on a GPU run at 0.707 of the speed, until both end
    by_wave = run(model, 1, 4, 0.25, 5, 60.0)
    packed = run(model, 1, 4, 0.25, 5, 60.0, equal=True)
    assert by_wave.now == packed.now == pytest.approx(60 * 2**0.5)
    assert by_wave.spent["busy"] == pytest.approx(3 * 60 + 60 * 2**0.5)
    assert packed.spent["busy"] == pytest.approx(60 + 2 * 60 * 2**0.5)


def test_a_slow_driver_leaves_gpus_idle_while_trials_wait(model):
    seen = run(model, 1, 10, 1.0, 100, 1.0, driver_s=1.0)  # ten could run, one is handed out
    assert seen.now == pytest.approx(100, abs=1.5)
    assert seen.spent["waiting"] == pytest.approx(900, abs=20)


def test_gpu_time_is_accounted_for(model, monkeypatch):
    monkeypatch.setattr(model, "_SIGMA", 0.5)
    seen = run(model, 3, 4, 0.25, 200, 20.0, driver_s=0.05)
    spent = sum(seen.spent[name] for name in ("busy", "waiting", "end"))
    assert spent == pytest.approx(12 * seen.now)
    assert seen.spent["beside"] <= seen.spent["end"]
