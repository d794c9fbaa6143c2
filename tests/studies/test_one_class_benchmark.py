"""All methods by their published trainings: the grid, its figures, and a small one for real."""

import dataclasses

import pytest
import torch

from nsa_core import methods
from studies import Preset
from studies.one_class_benchmark import ARMS, STUDY
from studies.plan.grid import build_grid
from studies.plan.options import parser
from studies.plan.work import GridWork
from studies.trial.life import run_trial
from tracking import create_store
from tracking.report.results import load_results
from tracking.report.sections.published import published

OWN = ("rotnet", "csi")
SMALL = ["--preset", "quick", "--classes", "3", "--steps", "3", "--set", 'layers=["embedding"]']


def test_the_papers_preset_is_every_methods_published_training():
    """Ten classes of CIFAR-10, here of digits; clean and polluted."""
    grid = build_grid(STUDY, "paper", dataset="digits", overrides={"batch_size": 16})
    assert len(grid.configs) == len(ARMS) * 2 * 10
    for config in grid.configs:
        recipe = methods.recipe(config.method)
        for field in ("optimiser", "learning_rate", "weight_decay", "budget", "augment"):
            default = getattr(type(config)(), field)
            assert getattr(config, field) == recipe.get(field, default), (config.method, field)
        assert config.batch_size == 16  # what is given is laid over it
    assert {(config.method, config.norm.value) for config in grid.configs} == set(ARMS)


def test_a_recipe_is_that_of_the_method_with_its_options():
    """STOC around SimCLR trains as SimCLR does."""
    around = (("stoc", "f", {"base": "simclr", "subsets": 3}), ("stoc", "none", {}))
    axes = {("method", "norm", "method_options"): around}
    presets = {"one": Preset(dataset="digits", classes=(3,), axes=axes, base={}, recipes=True)}
    grid = build_grid(
        dataclasses.replace(STUDY, presets=presets), "one", overrides={"batch_size": 16}
    )
    assert [each.optimiser for each in grid.configs] == ["adam", "sgd"]
    assert [each.budget for each in grid.configs] == [500, 2048]


def test_every_arm_has_a_figure_of_table_1_and_those_of_table_2_their_own():
    """Means of METHODS, section 6, from both tables, spot by spot."""
    figures = {
        (*each.where.values(), each.source): (each.auroc, each.scorer, each.layer)
        for each in STUDY.layout.published
    }
    assert len(figures) == len(STUDY.layout.published) == 61 + 30 + 2
    k_cos = ("k-cos", "embedding")
    for where, expected in {
        ("cifar10", "simclr-shifted", "f", 0.0, "Table 1"): (0.929, *k_cos),
        ("cifar10", "simclr", "none", 0.1, "Table 1"): (0.656, *k_cos),
        ("cifar10", "droc", "none", 0.1, "Table 1"): (0.805, "kde", "embedding"),
        ("fashion-mnist", "simsiam", "both", 0.1, "Table 1"): (0.753, *k_cos),
        ("cifar100", "rotnet", "none", 0.0, "Table 1"): (0.819, "kde", "embedding"),
        ("cifar10", "goad", "none", 0.1, "Table 1"): (0.83, "goad", "method"),
        ("fashion-mnist", "stoc", "none", 0.1, "Table 2"): (0.857, "stoc", "method"),
        ("cifar100", "unicon-ha", "none", 0.0, "UniCon-HA"): (0.924, "cosine-knn", "embedding"),
        ("cifar10", "csi", "none", 0.1, "Table 2"): (0.845, "csi", "method"),
        ("cifar100", "simclr", "f", 0.1, "Table 2"): (0.830, "c-cos", "ensemble"),
        ("fashion-mnist", "simclr-shifted", "f", 0.1, "Table 2"): (0.909, "c-cos", "ensemble"),
    }.items():
        assert figures[where] == pytest.approx(expected)


def test_a_small_one_for_real_has_each_score_per_class_and_its_counted_cost(tmp_path):
    """Two methods with scores of their own; as if their figures were of digits."""
    quick = STUDY.presets["quick"]
    axis = next(key for key in quick.axes if "method" in key)
    axes = {axis: [arm for arm in quick.axes[axis] if arm[0] in OWN], "pollution": (0.0,)}
    layout = dataclasses.replace(
        STUDY.layout,
        published=tuple(
            dataclasses.replace(each, where={**each.where, "dataset": "digits"})
            for each in STUDY.layout.published
            if each.where["dataset"] == "cifar10"
        ),
    )
    presets = {"quick": dataclasses.replace(quick, axes=axes)}
    study = dataclasses.replace(STUDY, layout=layout, presets=presets)
    store = create_store(tmp_path / "store")
    work = GridWork(study, parser(study).parse_args([*SMALL, "--store", str(store.root)]))
    work.begin(store)
    for trial_id in work.trial_ids(store):
        for _ in run_trial(store.trial(trial_id), None, torch.device("cpu")):
            pass
    means, classes = (
        block.rows
        for block in published(load_results(store, study.name)).blocks
        if hasattr(block, "rows")
    )
    found = {(row[0], row[3]): row for row in means}
    assert set(found) == {("rotnet", "kde"), ("csi", "csi, method")}
    assert found["rotnet", "kde"][-2:] == ["1", "1"]
    assert found["csi", "csi, method"][-2:] == ["16", "1"]  # four turns by four samples
    assert [row[3] for row in classes] == ["kde", "csi, method"]
    rows = {row["method"]: row for row in store.trials().to_pylist()}
    assert (rows["csi"]["optimiser"], rows["csi"]["own_passes"]) == ("lars", 16)
    assert (rows["rotnet"]["optimiser"], rows["rotnet"]["passes"]) == ("sgd", 1)
