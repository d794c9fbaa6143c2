"""The pollution study on real digits, tiny: nested outliers, slopes, intervals."""

import json
import re
from dataclasses import replace

from studies.cli import main
from studies.pollution_robustness import STUDY
from tests.studies.conftest import OPTIONS
from tracking import open_store

TOY = ["--preset", "quick", "--epochs", "1", "--classes", "0", "--seeds", "2"]
TOY += ["--set", f"method_options={OPTIONS}", "--concurrency", "1"]
PRESET = STUDY.presets["quick"]
SHARES = (0.0, 0.05, 0.1)
NESTED = replace(PRESET, axes={**PRESET.axes, "pollution": SHARES})


def test_the_cost_of_pollution_with_intervals_over_classes_and_seeds(tmp_path, capsys):
    path = tmp_path / "store"
    study = replace(STUDY, presets={"quick": NESTED})
    assert main(study, [*TOY, "--store", str(path)]) == 0
    shown = capsys.readouterr().out
    for start in ("method simsiam, norm none", "method simsiam, norm both", "both \u2212 none"):
        assert re.search(rf"^\| {start} .*\[", shown, re.MULTILINE), start
    store = open_store(path)
    assert len(store.members(STUDY.name)) == 12
    for row in store.trials().to_pylist():
        share = row["pollution_images"] / row["train_images"]
        assert row["pollution"] - 0.01 < share <= row["pollution"]
        assert row["test_images"] == 540
    taken = {}
    for key in store.members(STUDY.name):
        config = store.trial(key).definition()["config"]
        rows = json.loads((store.trial(key).folder / "pollution.json").read_text())["indices"]
        taken[config["normal_class"], config["seed"], config["norm"], config["pollution"]] = rows
    for (label, seed, norm, _), rows in taken.items():
        assert set(taken[label, seed, norm, 0.05]) < set(taken[label, seed, norm, 0.1])
        assert taken[label, seed, "none", 0.1] == taken[label, seed, "both", 0.1]
        assert rows or taken[label, seed, norm, 0.0] == []
    extremes = store.trial(key).folder / "extremes.parquet"
    assert extremes.is_file()
