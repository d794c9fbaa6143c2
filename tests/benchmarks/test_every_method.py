"""The table of every method: its grid, the images it is made of, and its means and differences."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.generated_store import generate
from nsa_core import ImageSet, methods
from studies.plan.grid import build_grid

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_the_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield


def test_every_registered_method_is_in_the_grid_clean_and_polluted(tmp_path):
    from every_method import SHARES, reduced, study

    pixels = np.random.default_rng(0).integers(0, 256, (800, 1, 28, 28), dtype=np.uint8)
    names = ("Coat", "Shirt", "Bag", *"0123456")
    images = ImageSet(pixels, np.arange(800) % 10, names)
    for split, count in (("train", 70), ("test", 5)):
        table = reduced(images, count)
        assert table["label"].value_counts().field("counts").to_pylist() == [count] * 10
        pq.write_table(table, tmp_path / f"fashion-{split}.parquet")
    grid = build_grid(study(str(tmp_path / "fashion-{split}.parquet")), "quick")
    assert {config.method for config in grid.configs} == set(methods.available())
    cells = {(each.normal_class, each.seed, each.pollution) for each in grid.configs}
    assert len(cells) == 3 * 2 * len(SHARES)
    assert len(grid.configs) == len(cells) * len({(c.method, c.norm) for c in grid.configs})


def test_means_and_paired_differences_are_those_of_the_store(tmp_path):
    from every_method_report import report

    store = generate(tmp_path / "store", trials=96, epochs=3, layers=1, scorers=2)
    text = report(tmp_path / "store", "made-up images")
    last = {}
    for row in store.scores().to_pylist():
        if row["epoch"] == 3 and (row["layer"], row["scorer"]) == ("embedding", "c-cos"):
            last[row["trial_id"]] = row["auroc"]
    groups = defaultdict(list)
    for row in store.trials().to_pylist():
        if (row["status"], row["pollution"], row["method"]) == ("finished", 0, "simsiam"):
            groups[row["norm"], row["class_name"]].append(last[row["trial_id"]])
    clean = text.split("## p = 0\n")[1].split("##")[0]
    for norm in ("none", "both"):
        means = [np.mean(group) for (name, _), group in groups.items() if name == norm]
        name = f"simsiam {norm}".removesuffix(" none")
        (line,) = re.findall(rf"^\| {name} +\|.*", clean, re.MULTILINE)
        assert line.split("|")[5].strip().startswith(f"{100 * np.mean(means):.1f} [")
    published = methods.recipe("simsiam")["learning_rate"]
    assert f"({published:g})" in text.split("## What is not the published training")[1]
    assert "simclr with f minus none, p = 0" in text
    assert "no pair" in text  # the store has no SimCLR
    assert "collapsed. spread of embeddings" in text
