"""The documents tell the truth about names: links, commands, and the code that is to be pasted."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from studies.__main__ import COMMANDS, SHIPPED

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document):
    text = document.read_text()
    for name in re.findall(r"\bnsa (?!studies\b)([a-z]+)\b", text):
        assert name in (*COMMANDS, "study", "list", "completion"), name
    for name in re.findall(r"\bnsa study ([a-z_]+)\b(?!\.py)", text):
        assert name in (*SHIPPED, "depth_ablation"), name
    for module in re.findall(r"python -m ((?:studies|tracking|benchmarks)[\w.]*)", text):
        assert importlib.util.find_spec(module) is not None, module
    for script in re.findall(r"python ((?:studies|benchmarks)/[a-z_]+\.py)", text):
        assert (ROOT / script).is_file(), script


def test_the_readme_is_short():
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    assert len(re.findall(r"[A-Za-z][A-Za-z'-]+", prose)) <= 700


def test_the_detector_of_the_readme_runs_as_pasted(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    share = int(re.fullmatch(r"(\d+)% of the eights are no threes\n", done.stdout)[1])
    assert share > 80
