"""Grids: every cell once, in an order that keeps an interrupted study comparable."""

import re
from collections import Counter

import pytest

from nsa_core import InputError, load_splits
from studies.batchsize_ablation import STUDY
from studies.early_stopping import STUDY as EARLY_STOPPING
from studies.full_ablation import STUDY as FULL
from studies.plan.grid import build_grid
from studies.plan.options import overrides, parser
from studies.plan.study import Preset, Study
from studies.plan.work import GridWork
from tests.studies.normals import write_normals
from tracking import create_store
from tracking.trial import trial_id


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
    ids = [trial_id(config.to_dict(), grid.data.fingerprint) for config in grid.configs]
    assert ids == [trial_id(config.to_dict(), again.data.fingerprint) for config in again.configs]
    assert len(set(ids)) == len(ids)
    assert trial_id(grid.configs[0].to_dict(), "other data") not in ids


def test_fields_that_vary_together_are_one_axis():
    grid = build_grid(EARLY_STOPPING, "quick", classes=["3"])
    arms = [(config.method, config.norm) for config in grid.configs]
    assert arms == [("simclr", "none"), ("simclr", "f"), ("simsiam", "none"), ("simsiam", "both")]
    with pytest.raises(InputError, match="'method' is an axis of early_stopping"):
        build_grid(EARLY_STOPPING, "quick", overrides={"method": "byol"})


def study(axes, base=None) -> Study:
    preset = Preset("digits", (3,), axes, {"batch_size": 16, **(base or {})})
    return Study("mine", "Mine", STUDY.layout, {"quick": preset})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"norm": ("f", "f")}, "two cells of mine are the same trial"),
        ({"pollution": (0.1, 0.10)}, "two cells of mine are the same trial"),
        ({"norm": ()}, "axis 'norm' of mine has no values; the grid would be empty"),
        ({"widht": (8, 16)}, "unknown axis of mine 'widht'; did you mean 'width'?"),
        ({("norm", "dpeth"): (("f", 1),)}, "unknown axis of mine 'dpeth'; did you mean 'depth'?"),
        ({("norm", "depth"): (("f",),)}, "has the value ('f',); need a tuple of 2 values"),
        ({"evaluations": (1, 2)}, "'evaluations' is no axis of mine: one training is evaluated"),
        ({"layers": (("embedding",),)}, "'layers' is no axis of mine: one training is scored"),
        ({"seed": (0, 1)}, "'seed' is no axis of mine: seeds are given with --seeds"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(axes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        build_grid(study(axes), "quick")


def test_a_grid_on_normals_alone_says_what_is_absent_and_asks_for_no_others(tmp_path):
    name = str(write_normals(tmp_path))
    grid = build_grid(STUDY, "quick", dataset=name, overrides={"depth": 10})
    assert {config.normal_class for config in grid.configs} == {0}
    assert grid.data.absent == (
        "no test outliers (the data set has no test split): AUROC, AUPRC and FPR95 are absent"
    )
    for study, said in ((FULL, "pollution 0.01"), (EARLY_STOPPING, "probe_images 1000")):
        with pytest.raises(InputError, match=f"{said}: need .* all 129 are of class 'good'"):
            build_grid(study, "quick", dataset=name)


def test_a_grid_with_a_test_split_of_normals_says_what_is_absent(tmp_path):
    grid = build_grid(STUDY, "quick", dataset=str(write_normals(tmp_path, tested=True)))
    assert grid.data.absent.startswith("no test outliers (all 54 test images are of one class):")
    assert build_grid(STUDY, "quick").data.absent == ""


def test_the_data_that_trials_are_named_by_is_that_of_both_splits():
    """As it has always been: trials of older stores keep their names."""
    train, test = load_splits("digits")
    grid = build_grid(STUDY, "quick")
    assert grid.data.fingerprint == f"{train.fingerprint}+{test.fingerprint}"


def test_an_interrupted_grid_has_every_cell_equally_often():
    grid = build_grid(FULL, "quick", overrides={"budget": 1})
    assert len(grid.configs) == 640
    for done in (64, 128, 500):
        cells = Counter((c.norm, c.batch_size, c.pollution) for c in grid.configs[:done])
        assert len(cells) == 64
        assert max(cells.values()) - min(cells.values()) <= 1


def test_registering_writes_how_the_study_reads(tmp_path):
    store = create_store(tmp_path / "store")
    GridWork(STUDY, parser(STUDY).parse_args(["--classes", "3"])).begin(store)
    about = store.about("batchsize_ablation")
    assert about["title"].startswith("Table 3")
    assert (about["rows"], about["columns"], about["headline"]) == (["norm"], "batch_size", "c-cos")
    paper = {(p["where"]["norm"], p["where"]["batch_size"]): p["auroc"] for p in about["paper"]}
    assert paper["both", 32] == 0.929
    assert {p["scorer"] for p in about["paper"]} == {"k-cos"}


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ("seed=3", "--seeds"),
        ("normal_class=4", "--classes"),
        ("dataset=cifar10", "--dataset"),
        ("budget=7", "--epochs or --steps"),
    ],
)
def test_a_field_with_an_option_of_its_own_is_not_set_in_vain(given, option):
    options = parser(STUDY).parse_args(["--set", given])
    with pytest.raises(InputError, match=f"it has an option of its own, {option}"):
        overrides(options)
