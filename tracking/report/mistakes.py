"""The images of a trial's worst mistakes, as its ``extremes.parquet`` keeps them.

The one place of tracking that opens an image: a store may be a stranger's, and a PNG of a few bytes
can unpack to gigabytes.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from PIL import Image

from tracking.errors import DamagedFileError
from tracking.files.place import StorePath
from tracking.files.read import read_parquet
from tracking.schema import EXTREMES

warnings.filterwarnings("ignore", module=r"PIL\.")  # what it warns of, it shows or refuses

KINDS = ("false alarm", "miss")
MOST_PIXELS = 2**24
"""Of an image; data sets have none that are larger."""

_MOST = 12  # of a kind


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image that a trial's score misjudged.

    Attributes:
        rank: 1 for the worst of its kind.
        row: in the test split.
        score: of the image.
        class_name: of the image.
        image: a PNG, which can be opened.
    """

    rank: int
    row: int
    score: float
    class_name: str
    image: bytes


def mistakes(path: StorePath) -> dict[str, list[Mistake]]:
    """The worst mistakes by kind, worst first; rows that lack something are left out.

    Raises:
        DamagedFileError: it cannot be read, or has an image that ``open_png`` refuses.
    """
    table = read_parquet(path, EXTREMES).drop_null()
    found: dict[str, list[Mistake]] = {}
    for kind in KINDS:
        rows = table.filter(pc.equal(table["kind"], kind)).sort_by("rank").slice(0, _MOST)
        found[kind] = [Mistake(**row) for row in rows.drop_columns("kind").to_pylist()]
        for each in found[kind]:
            open_png(each.image, path)
    return found


def open_png(data: bytes, path: StorePath) -> Image.Image:
    """A PNG out of the file ``path``, decoded, in RGB.

    Raises:
        DamagedFileError: it is none, damaged, or of more than ``MOST_PIXELS``.
    """

    def refused(why: Any) -> DamagedFileError:
        return DamagedFileError(path, f"an image in it is no good PNG: {why}")

    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        width, height = image.size  # from the header: nothing has been decoded
        if width * height <= MOST_PIXELS:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises nearly anything on a broken file
        raise refused(f"{type(error).__name__}: {error}") from error
    raise refused(f"{height}x{width}; need at most {MOST_PIXELS} pixels")
