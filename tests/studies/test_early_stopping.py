"""Figure 2's study on real digits, tiny: curves of every arm, probes included."""

from studies.cli import main
from studies.early_stopping import ARMS, STUDY
from tracking import open_store

TOY = ["--preset", "quick", "--classes", "3", "--epochs", "4", "--set", "evaluations=3"]
TOY += ["--set", "width=8", "--set", "depth=10", "--set", "probe_images=300"]
TOY += ["--set", 'layers=["embedding","projection"]']
TOY += ["--set", 'method_options={"projector_dim":32}']  # most of the time went to scores of 2048
TOY += ["--concurrency", "1"]  # a worker takes seconds to import what it needs


def test_every_arm_has_curves_of_both_spaces_and_probes(tmp_path, capsys):
    assert main(STUDY, [*TOY, "--store", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr().out
    for method, norm in ARMS:
        assert f"{method} {norm}" in shown
    for title in ("AUROC", "kappa", "linear probe accuracy", "squared MMD to uniform"):
        assert f"{title}" in shown
    store = open_store(tmp_path / "store")
    dynamics = store.dynamics().to_pylist()
    assert len(dynamics) == len(ARMS) * 3
    for row in dynamics:
        assert [name for name, value in row.items() if value is None] == ["held_out_auroc"]
        assert 0.1 < row["linear_probe"] <= 1
        assert row["kappa_train"] > 0
        assert -0.01 < row["projection_mmd_train"] < 1
    layers = set(store.scores()["layer"].to_pylist())
    assert layers == {"embedding", "projection"}
    assert (tmp_path / "store" / "report" / "early_stopping.html").is_file()
