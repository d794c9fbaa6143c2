"""The real case: its splits, its measures against slow references, and the script at toy size."""

import re
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


@pytest.fixture
def data(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import real_case_data

    return real_case_data


def numbers(part):
    return np.array([int(re.search(r"num_(\d+)", path).group(1)) for path in part.path])


@needs_data
def test_no_tile_lies_on_both_sides_and_both_are_one_range_of_numbers(data):
    case = data.tiles(DATA)
    train, test = numbers(case.polluted), numbers(case.test)
    assert train.max() + 40_000 < test.min()
    assert not set(case.polluted.group) & set(case.test.group)
    assert case.clean.counts() == "453 normal"
    assert case.polluted.counts() == "453 normal, 50 defective"
    assert case.test.counts() == "499 normal, 161 defective"


@needs_data
def test_a_group_of_tiles_holds_all_exposures_of_its_tiles(data):
    case = data.tiles(DATA)
    number, group = numbers(case.test), case.test.group
    near = np.abs(number[:, None] - number[None]) < data.SAME_TILES
    assert (group[:, None] == group[None])[near].all()
    assert len(set(group)) > 60  # and not far more than that


@needs_data
def test_the_solar_training_file_is_polluted_as_it_comes(data):
    case = data.solar(DATA)
    assert case.clean.counts() == "1,128 normal"
    assert case.polluted.counts() == "1,128 normal, 425 defective, 291 doubtful"
    assert case.test.counts() == "380 normal, 290 defective"
    assert not set(case.polluted.group) & set(case.test.group)


@needs_data
def test_screws_that_pollute_are_in_no_test(data):
    case = data.screws(DATA)
    assert case.polluted.counts() == "320 normal, 36 defective"
    assert case.test.counts() == "41 normal, 83 defective"
    assert not set(case.polluted.path) & set(case.test.path)


@needs_data
def test_a_toy_keeps_every_kind(data):
    toy = data.solar(DATA).at_most(40)
    assert len(toy.polluted) <= 43
    assert set(toy.polluted.kind) == {data.NORMAL, data.DEFECT, data.DOUBTFUL}
    assert set(toy.test.kind) == {data.NORMAL, data.DEFECT}
