"""``python -m studies``: shipped studies, and a user's own page of Python."""

import os
import re
import subprocess
import sys

import pytest

from studies.__main__ import SHIPPED, main, study_of
from studies.search import Search
from tests.studies.conftest import ROOT
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
            assert study.report.about()["rows"]


def test_the_study_in_contributing_runs_as_it_stands_there(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (page,) = re.findall(r"```python\n(.*?STUDY = .*?)```", text, re.DOTALL)
    assert page.count("\n") <= 30
    script = tmp_path / "depth_ablation.py"
    script.write_text(page)
    command = [
        sys.executable,
        "-m",
        "studies",
        "run",
        str(script),
        "--epochs",
        "1",
        "--classes",
        "3",
    ]
    command += ["--set", "width=8", "--set", "evaluations=1", "--store", str(tmp_path / "store")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "both - none" in done.stdout
    trials = open_store(tmp_path / "store").trials().to_pylist()
    assert {(row["norm"], row["depth"]) for row in trials} == {
        (norm, depth) for norm in ("none", "both") for depth in (10, 18)
    }


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
    assert "python -m studies run NAME" in capsys.readouterr().err


def test_no_file_of_the_folder_hides_a_module_of_python():
    """``python studies/NAME.py`` puts the folder first on the path of all that is imported."""
    names = {path.stem for path in (ROOT / "studies").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
