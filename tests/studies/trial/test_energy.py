"""Energy counters in a folder that looks like the kernel's."""

import os

import pytest

from studies.trial.energy import EnergyMeter


def package(zones, name: str, microjoules: int):
    zone = zones / name
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("1000000000\n")
    return zone


def test_the_share_of_what_all_packages_used(tmp_path):
    package(tmp_path, "intel-rapl:0", 5_000_000)
    package(tmp_path, "intel-rapl:1", 1_000_000)
    package(tmp_path, "intel-rapl:0:0", 900_000_000)  # part of package 0, not to be added
    meter = EnergyMeter(1, tmp_path)
    package(tmp_path, "intel-rapl:0", 25_000_000)
    package(tmp_path, "intel-rapl:1", 11_000_000)
    assert meter.joules() == pytest.approx(30.0 / os.cpu_count())


def test_a_counter_that_turned_over(tmp_path):
    package(tmp_path, "intel-rapl:0", 999_000_000)
    meter = EnergyMeter(os.cpu_count(), tmp_path)
    package(tmp_path, "intel-rapl:0", 1_000_000)
    assert meter.joules() == pytest.approx(2.0)


def test_where_nothing_can_be_read_there_is_no_number(tmp_path):
    assert EnergyMeter(1, tmp_path).joules() is None
    zone = package(tmp_path, "intel-rapl:0", 1)
    meter = EnergyMeter(1, tmp_path)
    (zone / "energy_uj").unlink()
    assert meter.joules() is None
