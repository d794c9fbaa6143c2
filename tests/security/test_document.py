"""docs/security.md names tests that exist, and every file of this folder."""

import re

from tests.studies.conftest import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_it_names_exists():
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 30
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []


def test_every_file_that_it_names_exists():
    for name in re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", TEXT):
        folder = ROOT if name.startswith("tests/") else ROOT / "tests" / "security"
        assert (folder / name).is_file(), name


def test_it_names_every_file_of_this_folder():
    for path in (ROOT / "tests" / "security").glob("test_*.py"):
        assert path.name == "test_document.py" or f"`{path.name}`" in TEXT, path
