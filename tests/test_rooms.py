"""What import-linter cannot see of the rooms: a library's own modules, and how large they are."""

import ast
from pathlib import Path

import pytest

from studies.__main__ import SHIPPED

ROOT = Path(__file__).parents[1]
PACKAGES = ("nsa_core", "tracking", "studies")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(source: str) -> set[str]:
    """Full names of all modules, and of names from modules, that a source imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pyarrow.fs",
        "from pyarrow import fs",
        "def f():\n    from pyarrow.fs import S3FileSystem",
    ],
)
def test_every_way_to_import_is_seen(source):
    assert "pyarrow.fs" in imports(source)


def test_arrows_file_systems_serve_ray_alone():
    """The store's own files go through ``tracking.files``, over obstore."""
    users = [
        str(path.relative_to(ROOT)) for path in SOURCES if "pyarrow.fs" in imports(path.read_text())
    ]
    assert users == ["studies/cluster/notes.py"]


OPENERS = ["nsa_core/data/decode.py", "tracking/report/mistakes.py"]
OTHER_DECODERS = {"imageio", "cv2", "skimage", "tifffile", "torchvision.io", "matplotlib.image"}


def opens_images(source: str) -> bool:
    """Whether it may: anything of Pillow but ``from PIL import Image`` and other than opening."""
    found = False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= any(each.name.startswith("PIL") for each in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PIL"):
            found |= [(each.name, each.asname) for each in node.names] != [("Image", None)]
        elif isinstance(node, ast.Attribute):
            opens = node.attr == "open" and ast.unparse(node.value) == "Image"
            found |= opens or node.attr == "imread"
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from PIL import Image\nImage.open(path)",
        "from PIL import Image as I\nI.open(path)",
        "from PIL.Image import open",
        "import PIL.Image\nPIL.Image.open(path)",
        "import PIL",
        "from PIL import ImageFile",
        "def f():\n    from matplotlib import pyplot\n    pyplot.imread(path)",
    ],
)
def test_every_way_to_open_an_image_is_seen(source):
    assert opens_images(source)


def test_images_are_opened_in_two_guarded_places_alone():
    """Each names the formats, and refuses by the header what is too large."""
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}
    assert [name for name, source in sources.items() if opens_images(source)] == OPENERS
    for name, source in sources.items():
        assert not OTHER_DECODERS & imports(source), name
    for name in OPENERS:
        assert "formats=" in sources[name]
        assert "MOST_PIXELS" in sources[name]


def test_a_file_of_over_200_lines_says_why():
    """In its docstring, in a paragraph that begins with "Long: "."""
    silent = []
    for path in SOURCES:
        source = path.read_text()
        reason = "\nLong: " in (ast.get_docstring(ast.parse(source)) or "")
        if (lines := len(source.splitlines())) > 200 and not reason:
            silent.append(f"{path.relative_to(ROOT)}: {lines} lines")
    assert silent == []


def test_studies_has_few_entries_at_its_top_beside_its_pages():
    found = {each.name for each in (ROOT / "studies").iterdir()} - {"__pycache__"}
    names = sorted(found - {f"{page}.py" for page in SHIPPED})
    assert len(names) <= 11, names
