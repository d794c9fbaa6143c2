"""Who decides whether trainings are compiled: the user, the store, or a forecast."""

import pytest

from nsa_core import InputError
from studies.cluster.placement import Placement, Resources
from studies.plan import compilation
from studies.plan.compilation import pays, settle_compile
from studies.plan.forecast import Forecast, TrialForecast
from studies.plan.options import overrides, parser
from studies.plan.work import GridWork
from tests.studies.conftest import TOY
from tests.studies.toy import STUDY
from tracking import create_store

TWO_AT_ONCE = Placement(Resources(), (0.0, 0.0))


@pytest.fixture
def options(tmp_path):
    def parsed(*more):
        toy = [each for each in TOY if each not in ("--epochs", "4")] if "--steps" in more else TOY
        return parser(STUDY).parse_args([*toy, "--store", str(tmp_path / "store"), *more])

    return parsed


@pytest.fixture(autouse=True)
def forecasts(monkeypatch):
    """Forecasts that were asked for: seconds of one trial, by whether it is compiled."""
    seconds, asked = {False: 100.0, True: 70.0}, []

    def forecast_of(configs, options, where):
        (compiled,) = {config.compile for config in configs}
        asked.append((len(configs), compiled))
        trials = tuple(TrialForecast(seconds[compiled], 1.0, 1.0, 1, 1) for _ in configs)
        return Forecast(trials, where.at_once, compile_s=20.0 * compiled)

    monkeypatch.setattr(compilation, "forecast_of", forecast_of)
    return seconds, asked


def settled(options) -> tuple[bool, str]:
    work = GridWork(STUDY, options)
    return settle_compile(work.name, work.configs, options, TWO_AT_ONCE), options.compile


def test_a_short_study_on_a_cpu_is_not_compiled_or_measured_unless_asked_for(
    options, forecasts, tmp_path
):
    assert settled(options()) == (False, "off")
    assert forecasts[1] == []
    assert not (tmp_path / "store").exists()
    plain, asked = (GridWork(STUDY, options(*more)).configs for more in ([], ["--compile", "on"]))
    assert {config.compile for config in plain} == {False}
    assert {config.compile for config in asked} == {True}
    assert all("compile" not in config.canonical() for config in plain)


@pytest.mark.parametrize(
    ("budget", "eager_s", "compiled_s", "measured", "choice"),
    [
        (["--steps", "20"], 3000.0, 2500.0, [], "off"),
        (["--epochs", "40"], 3000.0, 2500.0, [], "off"),
        (["--steps", "100000", "--max-hours", "0.3"], 3000.0, 2500.0, [], "off"),
        (["--steps", "100000"], 1000.0, 800.0, [False], "off"),
        (["--steps", "100000"], 3000.0, 2500.0, [False, True], "on"),
        (["--epochs", "4000"], 3000.0, 2500.0, [False, True], "on"),
        (["--steps", "100000"], 3000.0, 2990.0, [False, True], "off"),
    ],
)
def test_on_a_cpu_a_long_study_is_measured_as_on_a_gpu(
    options, forecasts, capsys, budget, eager_s, compiled_s, measured, choice
):
    """20 steps, or 40 epochs of 140 digits, are few; what takes 1,000 s in all is short."""
    seconds, asked = forecasts
    seconds.update({False: eager_s, True: compiled_s})
    assert settled(options(*budget)) == (choice == "on", choice)
    assert [compiled for _, compiled in asked] == measured
    told = f"--compile auto: {choice}, measured on this machine's cpu"
    assert (told in capsys.readouterr().out) == (len(measured) == 2)


@pytest.mark.parametrize("choice", ["on", "off"])
def test_what_the_user_says_stays(options, forecasts, choice):
    assert settled(options("--compile", choice)) == (False, choice)
    assert forecasts[1] == []


@pytest.mark.parametrize("choice", ["on", "off"])
def test_a_study_goes_on_as_it_has_begun(options, forecasts, choice, monkeypatch, tmp_path):
    """Or the same command would train all trials again, under other names."""
    monkeypatch.setattr(compilation, "device_of", lambda options: "cuda")
    GridWork(STUDY, options("--compile", choice)).begin(create_store(tmp_path / "store"))
    assert settled(options()) == (choice == "on", choice)
    assert forecasts[1] == []


@pytest.mark.parametrize(("compiled_s", "choice"), [(70.0, "on"), (95.0, "off")])
def test_on_a_gpu_one_kind_of_trial_is_measured_and_the_time_saved_decides(
    options, forecasts, monkeypatch, compiled_s, choice
):
    """Two of a kind at once: 30 s are saved, or 5, and compiling takes 20."""
    seconds, asked = forecasts
    seconds[True] = compiled_s
    monkeypatch.setattr(compilation, "device_of", lambda options: "cuda")
    assert settled(options()) == (choice == "on", choice)
    assert [compiled for _, compiled in asked] == [False, True]
    kinds = {config.batch_size for config in GridWork(STUDY, options()).configs}
    assert len(kinds) == 1 or asked[0][0] < len(GridWork(STUDY, options()).configs)


def test_what_cannot_be_compiled_does_not_pay():
    trial = TrialForecast(10.0, 1.0, 1.0, 1, 1)
    slow, fast = Forecast((trial,) * 4, 1), Forecast((trial,), 1)
    assert pays(slow, fast)
    assert not pays(slow, Forecast((trial,), 1, not_compiled=True))
    assert not pays(slow, Forecast((trial,), 1, compile_s=30.0))


def test_it_has_an_option_of_its_own(options):
    with pytest.raises(InputError, match="it has an option of its own, --compile"):
        overrides(options("--set", "compile=true"))
