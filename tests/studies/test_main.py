"""``nsa``, which is ``python -m studies``: shipped studies, and a user's own page of Python."""

import re
import sys

import pytest

from studies.__main__ import SHIPPED, main, study_of
from studies.plan.search import Search
from tests.studies.conftest import ROOT
from tests.tracking.mlflow_lab import values_in_mlflow, values_in_store
from tracking import open_store


def test_every_study_in_the_folder_is_listed(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    scripts = {p.stem for p in (ROOT / "studies").glob("*.py") if "\nSTUDY = " in p.read_text()}
    assert set(SHIPPED) == scripts
    for name in scripts:
        assert study_of(name).name == name
        assert re.search(rf"^{name} +{re.escape(study_of(name).title)}$", shown, re.MULTILINE)


def test_every_preset_makes_a_study_that_says_how_it_reads():
    for name in SHIPPED:
        study = study_of(name)
        assert {"quick", "paper"} <= set(study.presets)
        if not isinstance(study, Search):
            assert study.layout.about()["rows"]


def test_the_study_in_contributing_runs_as_it_stands_there(tmp_path, capsys, monkeypatch):
    """Beside the MLflow that ``MLFLOW_TRACKING_URI`` names, of which nobody else has spoken."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (page,) = re.findall(r"```python\n(.*?STUDY = .*?)```", text, re.DOTALL)
    assert page.count("\n") <= 30
    script, path = tmp_path / "depth_ablation.py", tmp_path / "store"
    script.write_text(page)
    uri = f"sqlite:///{tmp_path}/named.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    options = ["--epochs", "1", "--classes", "3", "--set", "width=8", "--set", "evaluations=1"]
    assert main(["study", str(script), *options, "--store", str(path)]) == 0
    shown = capsys.readouterr().out
    store = open_store(path)
    trials = store.trials().to_pylist()
    assert {(row["norm"], row["depth"]) for row in trials} == {
        (norm, depth) for norm in ("none", "both") for depth in (10, 18)
    }
    (study,) = {row["study"] for row in trials}
    assert uri in shown
    assert values_in_mlflow(uri, study) == values_in_store(store)
    assert not (path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (None, "does not exist"),
        ("STUDY = 3", "has no STUDY = Study(...); see CONTRIBUTING.md"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("STUDY = (", "SyntaxError"),
    ],
)
def test_a_page_that_is_no_study_is_one_clear_error(page, message, tmp_path, capsys):
    script = tmp_path / "mine.py"
    if page is not None:
        script.write_text(page)
    assert main(["run", str(script)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.startswith("error: ")


def test_a_name_that_nobody_knows_is_refused_and_no_arguments_are_explained(capsys):
    assert main(["run", "polution_robustness"]) == 2
    assert "did you mean 'pollution_robustness'?" in capsys.readouterr().err
    assert main([]) == 2
    assert "usage: nsa study NAME" in capsys.readouterr().err


def test_no_file_of_the_folder_hides_a_module_of_python():
    """``python studies/NAME.py`` puts the folder first on the path of all that is imported."""
    names = {path.stem for path in (ROOT / "studies").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
