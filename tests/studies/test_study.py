"""Grids: every cell once, in an order that keeps an interrupted study comparable."""

import pytest

from nsa_core import InputError
from studies.batchsize_ablation import STUDY
from studies.early_stopping import STUDY as EARLY_STOPPING
from studies.runner import register, trial_id
from studies.study import Grid, build_grid
from tracking import create_store


def test_all_cells_of_a_class_and_seed_come_before_the_next():
    grid = build_grid(STUDY, "quick", seeds=2)
    assert len(grid.configs) == 2 * 2 * 8
    for start in range(0, len(grid.configs), 8):
        block = grid.configs[start : start + 8]
        assert len({(config.seed, config.normal_class) for config in block}) == 1
        assert len({(config.norm, config.batch_size) for config in block}) == 8


def test_classes_by_name_or_index_and_never_twice():
    by_index = build_grid(STUDY, "quick", classes=["9", "6"])
    by_name = build_grid(STUDY, "quick", classes=[9, "6", "9"])
    assert by_index.configs == by_name.configs


def test_trial_ids_name_the_configuration_and_the_data():
    grid = build_grid(STUDY, "quick")
    again = build_grid(STUDY, "quick")
    ids = [trial_id(config, grid.data_fingerprint) for config in grid.configs]
    assert ids == [trial_id(config, again.data_fingerprint) for config in again.configs]
    assert len(set(ids)) == len(ids)
    assert trial_id(grid.configs[0], "other data") not in ids


def test_fields_that_vary_together_are_one_axis():
    grid = build_grid(EARLY_STOPPING, "quick", classes=["3"])
    arms = [(config.method, config.norm) for config in grid.configs]
    assert arms == [("simclr", "none"), ("simclr", "f"), ("simsiam", "none"), ("simsiam", "both")]
    with pytest.raises(InputError, match="'method' is an axis of early_stopping"):
        build_grid(EARLY_STOPPING, "quick", overrides={"method": "byol"})


def test_a_duplicate_cell_is_refused(tmp_path):
    grid = build_grid(STUDY, "quick", classes=["3"])
    doubled = Grid(STUDY, grid.configs + grid.configs[:1], grid.data_fingerprint, grid.class_names)
    with pytest.raises(InputError, match="the same trial"):
        register(create_store(tmp_path / "store"), doubled)
