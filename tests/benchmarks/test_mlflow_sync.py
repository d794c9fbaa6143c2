"""The MLflow benchmark at toy size: every value of the store is counted, and found."""

import re

from tests.benchmarks.test_scripts import run


def test_it_counts_all_values_of_a_store(tmp_path):
    output = tmp_path / "report.md"
    sizes = ("--trials", "12", "--epochs", "3", "--layers", "2", "--scorers", "4")
    run("mlflow_sync.py", *sizes, "--rounds", "1", "--output", str(output))
    text = output.read_text()
    # 7 trials finish after 3 epochs, 4 end otherwise after 1
    for kind, values in (("auroc", 25 * 2 * 4), ("other/auprc", 25 * 4), ("other/fpr95", 25 * 4)):
        assert re.search(rf"`{kind}/` +\| +{values} \| +{values} \| +yes", text)
    assert text.count(" yes |") == 5
    assert "12 runs" in text
