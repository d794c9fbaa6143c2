"""The notebook runs from its first to its last cell, and says what its text promises."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "your_images.ipynb"


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What its cells print, in their order."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, kernel_name="python3"
    )
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder), "TMPDIR": str(folder)}
    client.execute(env=os.environ | own | {"OMP_NUM_THREADS": "1"})
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(each.name == "stdout" for cell in outputs for each in cell)  # no warning
    return ["".join(each.text for each in cell) for cell in outputs]


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_the_detector_finds_odd_images_and_says_so(printed):
    text = "\n".join(printed)
    assert "120 images learnt from, 30 withheld" in text
    assert float(re.search(r"AUROC ([\d.]+)", text)[1]) > 0.95
    caught, false_alarms = map(int, re.search(r"(\d+)% of odd, (\d+)% of normal", text).groups())
    assert caught > 50
    assert false_alarms < 20
    assert "equal scores: True" in text


def test_the_worst_images_are_odd_ones(printed):
    worst = [line.split()[0] for line in printed[2].splitlines()]
    assert len(worst) == 5
    assert all(name.startswith("odd") for name in worst)


def test_suspects_begin_with_the_odd_training_images(printed):
    (names,) = [text for text in printed if "'normal-" in text or text.startswith("('odd-")]
    suspected = re.findall(r"'(odd|normal)-", names)
    assert len(suspected) == 8
    assert suspected.count("odd") >= 6
