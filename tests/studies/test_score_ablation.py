"""All scores on all layers, through the whole study on real digits."""

import json

from nsa_core import scorers
from nsa_core.methods import LAYERS
from studies.cli import main
from studies.score_ablation import STUDY
from tracking import open_store

TOY = ["--preset", "quick", "--classes", "3", "--epochs", "1", "--set", "width=8"]
TOY += ["--set", "depth=10", "--concurrency", "1"]


def test_every_score_of_every_layer_is_in_the_table_and_the_store(tmp_path, capsys):
    options = json.dumps({"projector_dim": 32, "predictor_dim": 32})
    toy = [*TOY, "--set", f"method_options={options}"]
    assert main(STUDY, [*toy, "--store", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr().out
    for arm in ("norm none, pollution 0", "norm both, pollution 0.1"):
        assert arm in shown
    scores = open_store(tmp_path / "store").scores().to_pylist()
    found = {(row["layer"], row["scorer"]) for row in scores}
    assert {(layer, name) for layer in LAYERS for name in scorers.available()} <= found
    assert {
        ("ensemble", "k-cos-literal-c-cos"),
        ("ensemble", "c-cos"),
        ("ensemble", "k-cos"),
    } <= found
    assert all(0 <= row[kind] <= 1 for row in scores for kind in ("auroc", "auprc", "fpr95"))
    (value,) = (
        row["auroc"]
        for row in scores
        if (row["layer"], row["scorer"]) == ("stem", "mahalanobis")
        and row["trial_id"] == scores[0]["trial_id"]
    )
    assert f"{100 * value:.1f}" in shown
